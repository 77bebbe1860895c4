"""A small cluster of many files, from S3 to its first query: what is waited for is requests, not bytes."""
import os
import shutil
import time
from pathlib import Path

from bench.contenders import Backstay, PgBackRest
from bench.places import S3Place
from support.slow_proxy import SlowProxy

QUESTION = "SELECT count(*) FROM small_1"
DELAY = 0.03


def small_cluster(bench) -> None:
    place = bench.s3
    if place is None:
        return
    with bench.other_cluster("small") as cluster:
        cluster.fill_small()
        backstay, pgbackrest = Backstay(cluster, bench.program, place), PgBackRest(cluster, place)
        bench.require_full(backstay, pgbackrest)
        ours, theirs = [], []
        for number in range(bench.rounds):
            mark = place.mark()
            ours.append(bench.until_query(backstay, QUESTION))
            our_requests = place.requests_since(mark)
            mark = place.mark()
            theirs.append(bench.until_query(pgbackrest, QUESTION))
            their_requests = place.requests_since(mark)
            bench.say_round(number + 1)
        bench.results.faster("small cluster from S3 to first query", ours, theirs, 1.5)
        data = [line for line in our_requests if line.startswith("GET") and "/packs/" in line]
        bench.results.at_most("small cluster: GETs of data", len(data), 4, "")
        bench.results.shown("small cluster: requests in all", len(our_requests), "", len(their_requests))
        slow_ours, slow_theirs, waits = [], [], []
        with SlowProxy(place.port, DELAY) as proxy:
            for _ in range(bench.rounds):
                for contender, times in ((backstay, slow_ours), (pgbackrest, slow_theirs)):
                    proxy.held_back()
                    with contender.through(proxy.port):
                        times.append(bench.until_query(contender, QUESTION))
                    if contender is backstay:
                        waits.append(proxy.held_back())
        files = sum(len(names) for _, _, names in os.walk(cluster.data))
        creating = floor(cluster.data, cluster.home / "floor")
        bench.results.faster("small cluster, 30 ms added to each request", slow_ours, slow_theirs, 3)
        # A connection's handshake is a round; what is asked for while files are written is one too.
        bench.results.because(f"{bench.middle(waits) / DELAY:.1f} rounds of requests one after the other at 30 ms make {bench.middle(waits):.2f} s, creating and "
                              f"syncing the files {creating:.2f} s; the rest is PostgreSQL's: two starts, a stop, the end of recovery")
        bench.results.shown(f"small cluster: creating and syncing {files} files", creating, "s")


def floor(source: Path, target: Path) -> float:
    """What the file system takes for it, whoever asks: as many files of the same sizes, and one sync."""
    sizes = [(Path(top) / name).stat().st_size for top, _, names in os.walk(source) for name in names]
    blocks = b"\0" * max(sizes)
    target.mkdir()
    begin = time.monotonic()
    for number, size in enumerate(size for size in sizes if size < 16 * 2**20):
        with open(target / str(number), "wb", buffering=0) as file:
            file.write(memoryview(blocks)[:size])
    os.sync()
    took = time.monotonic() - begin
    shutil.rmtree(target)
    return took
