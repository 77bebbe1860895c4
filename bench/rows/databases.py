"""What a backup does to the database that it is taken of, at 70 % of what the database can bear."""
import re
import subprocess
from pathlib import Path
from typing import Callable, Optional

from bench.measure import median, percentile


def under_load(bench) -> None:
    """Every backup that PostgreSQL knows of begins by ending a segment of WAL and with a checkpoint, after which each page
    is logged in full when it is changed first. What that alone costs is measured in the same run; what the database can
    bear is what it bears after a checkpoint, or 70 % of it would be more than it can."""
    cluster, backstay = bench.cluster, bench.backstay(bench.places[0])
    seconds = 8 if bench.size < 1024 else 20
    cluster.sql("CHECKPOINT")
    highest = float(re.search(r"tps = ([\d.]+)", cluster.run(bench.bin / "pgbench", "-n", "-c", 4, "-j", 1, "-T", seconds)).group(1))
    rate = int(highest * 0.7)
    quiet, busy, empty, walls = [], [], [], []
    for number in range(bench.rounds):
        quiet.append(latency(bench, rate, seconds))
        busy.append(latency(bench, rate, seconds, lambda: walls.append(backstay.back_up().wall)))
        announced = f"SELECT pg_backup_start('bench', true); SELECT pg_sleep({min(median(walls), seconds)}); SELECT pg_backup_stop(false)"
        empty.append(latency(bench, rate, seconds, lambda: cluster.sql(announced)))
        bench.say_round(number + 1)
    results, title = bench.results, "pgbench's 99 % latency"
    beside, alone = (median(busy) / median(quiet) - 1) * 100, (median(empty) / median(quiet) - 1) * 100
    results.at_most(f"{title} while backing up: grown by", beside, 10, "%")
    results.because(f"pg_backup_start and pg_backup_stop alone make it grow by {alone:.0f} %; what copying adds to that is "
                    f"{(median(busy) / median(empty) - 1) * 100:.0f} %")
    results.shown(f"{title}, alone and while backing up", median(busy), "ms", median(quiet))
    results.shown(f"{title}, alone and with pg_backup_start and _stop only", median(empty), "ms", median(quiet))
    results.shown("transactions each second, the load", rate, "")
    results.shown("a backup under that load", median(walls), "s")


def latency(bench, rate: int, seconds: int, meanwhile: Optional[Callable[[], object]] = None) -> float:
    """99 % of the transactions took at most this many milliseconds; `meanwhile` is done again and again."""
    bench.cluster.sql("CHECKPOINT")
    logs = bench.cluster.home / "latencies"
    bench.remove(logs)
    bench.cluster.run("mkdir", logs)
    command = [*bench.cluster.as_user, str(bench.bin / "pgbench"), "-n", "-c", "4", "-j", "1", "-T", str(seconds), f"--rate={rate}", "-l",
               f"--log-prefix={logs}/log"]
    load = subprocess.Popen(command, env=bench.cluster.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=bench.cluster.home)
    while meanwhile and load.poll() is None:
        meanwhile()
    load.wait(seconds + 60)
    lines = [line.split() for path in Path(logs).iterdir() for line in path.read_text().splitlines()]
    return percentile([int(line[2]) / 1000 for line in lines if line[2].isdigit()], 99)
