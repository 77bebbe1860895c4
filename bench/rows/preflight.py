"""How soon a point in time is judged over 10,000 archived segments."""
import time

from bench.contenders import Backstay

WHOLE, WHOLE_SIZE = 10_000, 3072


def preflight(bench) -> None:
    count = max(200, WHOLE * min(bench.size, WHOLE_SIZE) // WHOLE_SIZE)
    with bench.other_cluster("preflight", segment_mebibytes=1, max_wal_size="'64MB'", wal_keep_size=0, fsync="off") as cluster:
        backstay = Backstay(cluster, bench.program)
        with backstay.receiver():
            backstay.back_up()
            middle = None
            for part in range(10):
                cluster.run(bench.bin / "psql", "-X", "-q", "-f", "-",
                            text="SELECT txid_current();\nSELECT pg_switch_wal();\n" * (count // 10))
                if part == 5:
                    middle = cluster.sql("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
                cluster.wait_in_sql(backstay.stored_up_to(cluster.wal_position()))
        # In the way of a restore that would follow a time within reach: the answer comes before anything is written.
        occupied = cluster.home / "occupied/data"
        cluster.run("mkdir", "-p", occupied)
        cluster.run("touch", occupied / "file")
        inside, outside = [], []
        for _ in range(max(5, bench.rounds)):
            inside.append(answer(backstay, middle, occupied.parent))
            outside.append(answer(backstay, "2100-01-01T00:00:00Z", occupied.parent))
        bench.results.at_most(f"preflight over {count} segments: time within reach", bench.middle(inside) * 1000, 100, "ms")
        bench.results.at_most(f"preflight over {count} segments: time out of reach", bench.middle(outside) * 1000, 100, "ms")


def answer(backstay, moment: str, directory) -> float:
    """The whole command, from its start to its refusal."""
    begin = time.monotonic()
    backstay.cluster.run(*backstay.command("pg", "recover", "--instance", "bench", "--target-time", moment, "--directory", directory), check=False)
    return time.monotonic() - begin
