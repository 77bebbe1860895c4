"""What a backup does to the database that it is taken of, at 70 % of what the database can bear."""
import re
import subprocess
from pathlib import Path

from bench.measure import median, percentile


def under_load(bench) -> None:
    cluster, backstay = bench.cluster, bench.backstay(bench.places[0])
    seconds = 8 if bench.size < 1024 else 20
    highest = float(re.search(r"tps = ([\d.]+)", cluster.run(bench.bin / "pgbench", "-n", "-c", 4, "-j", 1, "-T", seconds)).group(1))
    rate = int(highest * 0.7)
    quiet, busy = [], []
    for number in range(bench.rounds):
        quiet.append(latency(bench, rate, seconds))
        busy.append(latency(bench, rate, seconds, backstay))
        bench.say_round(number + 1)
    grown = (median(busy) / median(quiet) - 1) * 100
    bench.results.at_most("pgbench's 99 % latency while backing up: grown by", grown, 10, "%")
    bench.results.shown("pgbench's 99 % latency, alone and while backing up", median(busy), "ms", median(quiet))
    bench.results.shown("transactions each second, the load", rate, "")


def latency(bench, rate: int, seconds: int, backstay=None) -> float:
    """99 % of the transactions took at most this many milliseconds; with a contender, while it backs up again and again."""
    logs = bench.cluster.home / "latencies"
    bench.remove(logs)
    bench.cluster.run("mkdir", logs)
    command = [*bench.cluster.as_user, str(bench.bin / "pgbench"), "-n", "-c", "4", "-j", "1", "-T", str(seconds), f"--rate={rate}", "-l",
               f"--log-prefix={logs}/log"]
    load = subprocess.Popen(command, env=bench.cluster.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=bench.cluster.home)
    while backstay and load.poll() is None:
        backstay.back_up()
    load.wait(seconds + 60)
    lines = [line.split() for path in Path(logs).iterdir() for line in path.read_text().splitlines()]
    return percentile([int(line[2]) / 1000 for line in lines if line[2].isdigit()], 99)
