#!/usr/bin/env python3
"""Measures backup, restore and WAL archiving beside pgBackRest and pg_basebackup, and the API, also with a state of
10,000 services, in one run on one machine.

Every figure is the median of the runs, which take turns. A ratio is ours / theirs: below 1 is faster or smaller.
"""
import argparse
import http.client
import json
import shutil
import socket
import statistics
import sys
import time
import urllib.parse
from pathlib import Path
from typing import Callable, Optional

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from bench.cluster import Cluster  # noqa: E402
from bench.contenders import Backstay, PgBackRest, PgBaseBackup  # noqa: E402
from support.scale import SERVICES, filled_server, measure  # noqa: E402
from support.server import Server, make_state_directory  # noqa: E402


def seconds_of(action: Callable[[], None]) -> float:
    begin = time.monotonic()
    action()
    return time.monotonic() - begin


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Results:
    def __init__(self):
        self.rows = []

    def add(self, name: str, unit: str, ours: float, peer: Optional[float], target: float) -> None:
        """`target`: for a ratio where there is a peer, else for our own figure; not above it is reached."""
        ratio = ours / peer if peer else None
        self.rows.append({"name": name, "ours": round(ours, 4), "peer": None if peer is None else round(peer, 4),
                          "ratio": None if ratio is None else round(ratio, 3), "target": target,
                          "reached": (ratio if ratio is not None else ours) <= target, "unit": unit})
        print(f"    {self.line(self.rows[-1])}", flush=True)

    @staticmethod
    def line(row: dict) -> str:
        peer = "-" if row["peer"] is None else f"{row['peer']:.3f}"
        ratio = "-" if row["ratio"] is None else f"{row['ratio']:.2f}"
        return (f"{row['name']:<44} {row['ours']:>10.3f} {peer:>10} {row['unit']:<4} {ratio:>6}  "
                f"{'reached' if row['reached'] else 'not reached'} (target {row['target']})")

    def print(self) -> None:
        print(f"\n    {'what':<44} {'ours':>10} {'peer':>10} {'':<4} {'ratio':>6}")
        for row in self.rows:
            print(f"    {self.line(row)}")


class Bench:
    def __init__(self, program: Path, mebibytes: int, runs: int, wal: int):
        self.program, self.mebibytes, self.runs, self.wal = program, mebibytes, runs, wal
        self.home = make_state_directory("bench")
        self.cluster = Cluster(self.home / "cluster", free_port())
        self.results = Results()

    def run(self) -> Results:
        try:
            print(f"dataset of about {self.mebibytes} MiB in {self.home}", flush=True)
            self.cluster.create()
            self.size = self.cluster.fill(self.mebibytes)
            print(f"    {self.size / 2**20:.0f} MiB", flush=True)
            self.backups_and_restores()
            self.wal_drain()
        finally:
            self.cluster.stop()
            shutil.rmtree(self.home / "cluster", ignore_errors=True)
        self.api_latency()
        for kind in ("sqlite", "postgresql"):
            self.scale(kind)
        shutil.rmtree(self.home, ignore_errors=True)
        return self.results

    def backups_and_restores(self) -> None:
        self.ours, self.pgbackrest, self.basebackup = Backstay(self.cluster, self.program), PgBackRest(self.cluster), PgBaseBackup(self.cluster)
        contenders = [self.ours, self.pgbackrest, self.basebackup]
        backup, restore = {c.name: [] for c in contenders}, {c.name: [] for c in contenders}
        stored = {}
        for contender in contenders:
            contender.prepare()
        for number in range(self.runs):
            for contender in contenders:
                before = contender.stored_bytes() if contender is self.ours else 0
                if contender is self.pgbackrest:  # it waits for its own archive; pg_basebackup would wait for it too
                    contender.begin_archiving()
                backup[contender.name].append(seconds_of(contender.back_up))
                if contender is self.pgbackrest:
                    contender.end_archiving()
                stored.setdefault(contender.name, contender.stored_bytes() - before)
                target = self.home / "cluster" / f"restored-{contender.name}"
                if contender is not self.ours:  # ours makes it
                    self.cluster.run("mkdir", "-m", "700", target)
                restore[contender.name].append(seconds_of(lambda: contender.restore(target)))
                shutil.rmtree(target)
            print(f"    round {number + 1} of {self.runs}", flush=True)
        middle = {kind: {name: statistics.median(times) for name, times in table.items()}
                  for kind, table in (("backup", backup), ("restore", restore))}
        for peer in ("pgbackrest", "pg_basebackup"):
            self.results.add(f"full backup / {peer}", "s", middle["backup"]["backstay"], middle["backup"][peer], 1.0)
            self.results.add(f"restore / {peer}", "s", middle["restore"]["backstay"], middle["restore"][peer], 1.0)
            self.results.add(f"stored size / {peer}", "MiB", stored["backstay"] / 2**20, stored[peer] / 2**20, 1.0)

    def wal_drain(self) -> None:
        """How long a backlog takes to the store: the receiver was away, the archiver was off."""
        now = "SELECT pg_current_wal_lsn()"
        self.ours.receive_until(self.cluster.sql(now))
        ours, theirs = [], []
        for _ in range(self.runs):
            self.cluster.archive_with("false")
            end = self.cluster.make_wal(self.wal)
            segment = self.cluster.sql(f"SELECT pg_walfile_name('{end}')")
            ours.append(seconds_of(lambda: self.ours.receive_until(end)))
            self.pgbackrest.begin_archiving()
            theirs.append(seconds_of(lambda: self.pgbackrest.wait_until_archived(segment)))
        self.results.add(f"drain {self.wal} MiB of WAL / pgbackrest", "s", statistics.median(ours), statistics.median(theirs), 1.0)

    def api_latency(self, requests: int = 500) -> None:
        server = Server(self.program, self.home / "server")
        server.home.mkdir(mode=0o711)
        try:
            server.start()
            parts = urllib.parse.urlsplit(server.url)
            connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
            headers = {"Authorization": f"Bearer {server.token_file.read_text().strip()}"}
            for name, path in (("list services", "/managed-services"), ("catalogue", "/managed-services/providers")):
                times = []
                for _ in range(requests):
                    begin = time.monotonic()
                    connection.request("GET", path, headers=headers)
                    connection.getresponse().read()
                    times.append((time.monotonic() - begin) * 1000)
                self.results.add(f"API: {name}, median", "ms", statistics.median(times), None, 5.0)
                self.results.add(f"API: {name}, 99 %", "ms", statistics.quantiles(times, n=100)[98], None, 25.0)
            connection.close()
        finally:
            server.destroy()


    def scale(self, kind: str) -> None:
        """10,000 services and 100,000 backups in the state."""
        with filled_server(self.program, kind) as server:
            figures = measure(server)
        self.results.add(f"{SERVICES} services, {kind}: page, 99 %", "ms", figures.page_99 * 1000, None, 50)
        self.results.add(f"{SERVICES} services, {kind}: page of events, 99 %", "ms", figures.event_page_99 * 1000, None, 50)
        self.results.add(f"{SERVICES} services, {kind}: tick, 99 %", "ms", figures.tick_99 * 1000, None, 100)
        self.results.add(f"{SERVICES} services, {kind}: start", "s", figures.start, None, 2)
        self.results.add(f"{SERVICES} services, {kind}: memory", "MiB", figures.memory_mib, None, 256)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", type=Path, default=ROOT / "build/release/backstay")
    parser.add_argument("--mib", type=int, default=1024, help="size of the dataset")
    parser.add_argument("--wal-mib", type=int, default=512, help="size of the WAL backlog")
    parser.add_argument("--runs", type=int, default=3, help="rounds; the median counts")
    parser.add_argument("--json", type=Path, help="write the rows there")
    arguments = parser.parse_args()
    results = Bench(arguments.program.resolve(), arguments.mib, arguments.runs, arguments.wal_mib).run()
    results.print()
    if arguments.json:
        arguments.json.write_text(json.dumps(results.rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
