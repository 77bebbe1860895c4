#!/usr/bin/env python3
"""Measures Backstay beside pgBackRest (tuned, encrypted, over TLS) and other yardsticks, in one run on one machine.

Every figure is the median of rounds in which the contenders take turns, with a warm cache; what counts is the ratio,
since machines drift. Each row with a goal says whether it was reached. See bench/rows for what the rows are."""
import argparse
import contextlib
import json
import shutil
import signal
import statistics
import sys
import time
import traceback
from pathlib import Path
from typing import Callable, Iterable, Iterator, Optional

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from bench.cluster import BIN, Cluster  # noqa: E402
from bench.contenders import Backstay, PgBackRest  # noqa: E402
from bench.measure import Results  # noqa: E402
from bench.places import DirectoryPlace, S3Place  # noqa: E402
from bench.rows import ON_DEMAND, ROWS  # noqa: E402
from support.server import make_state_directory  # noqa: E402


class Bench:
    """What the rows share. The dataset, the S3 store and the contenders are made when the first row asks for them."""

    bin = BIN

    def __init__(self, arguments: argparse.Namespace):
        self.program, self.size, self.rounds = arguments.program.resolve(), arguments.size, arguments.rounds
        self.wal, self.replay, self.chain = arguments.wal_mib, arguments.replay_mib, arguments.chain
        self.long, self._stores = arguments.long, arguments.stores.split(",")
        self.home = make_state_directory("bench")
        self.results = Results()
        self._cluster: Optional[Cluster] = None
        self._places: Optional[list] = None
        self._contenders: dict = {}
        self._restored = 0

    @property
    def cluster(self) -> Cluster:
        if self._cluster is None:
            print(f"dataset of about {self.size} MiB in {self.home}", flush=True)
            self._cluster = Cluster(self.home / "cluster")
            self._cluster.create().fill(self.size)
        return self._cluster

    @property
    def places(self) -> list:
        if self._places is None:
            self._places = []
            if "directory" in self._stores:
                self._places.append(DirectoryPlace())
            if "s3" in self._stores:
                self._places.append(S3Place(self.home / "s3"))
        return self._places

    @property
    def s3(self) -> Optional[S3Place]:
        return next((place for place in self.places if isinstance(place, S3Place)), None)

    def backstay(self, place) -> Backstay:
        return self._contender("backstay", place, lambda: Backstay(self.cluster, self.program, place))

    def pgbackrest(self, place, block: bool = False) -> PgBackRest:
        return self._contender(f"pgbackrest {block}", place, lambda: PgBackRest(self.cluster, place, block))

    def _contender(self, kind: str, place, make: Callable):
        return self._contenders.get((kind, place.name)) or self._contenders.setdefault((kind, place.name), make())

    @contextlib.contextmanager
    def other_cluster(self, name: str, **settings: object) -> Iterator[Cluster]:
        cluster = Cluster(self.home / name)
        try:
            yield cluster.create(**settings)
        finally:
            cluster.remove()

    @staticmethod
    def require_full(backstay: Backstay, pgbackrest: PgBackRest) -> None:
        """One that a row before this one took will do."""
        if not backstay.backup:
            backstay.back_up()
            pgbackrest.back_up()

    def until_query(self, contender, question: str, *target: object, **more: object) -> float:
        """Seconds from nothing to the first answer of a restored server."""
        self._restored += 1
        name = f"recovered-{self._restored}"
        begin = time.monotonic()
        _, server = contender.recover(name, *target, **more)
        server.first_query(question)
        took = time.monotonic() - begin
        server.stop()
        self.remove(contender.cluster.home / name)
        return took

    @staticmethod
    def seconds(action: Callable[[], object]) -> float:
        begin = time.monotonic()
        action()
        return time.monotonic() - begin

    @staticmethod
    def middle(values: Iterable[float]) -> float:
        return statistics.median(values)

    @staticmethod
    def remove(path: Path) -> None:
        shutil.rmtree(path, ignore_errors=True)

    def say_round(self, number: int) -> None:
        print(f"    round {number} of {self.rounds}", flush=True)

    def run(self, names: Iterable[str]) -> None:
        for name in names:
            print(f"\n{name}", flush=True)
            begin = time.monotonic()
            try:
                ROWS[name](self)
            except Exception as error:  # one row that cannot run leaves the others
                traceback.print_exc()
                self.results.failed(name, str(error) or repr(error))
            print(f"    ({time.monotonic() - begin:.0f} s)", flush=True)

    def close(self) -> None:
        if self._cluster:
            self._cluster.stop()
        if self._places and self.s3:
            self.s3.stop()
        shutil.rmtree(self.home, ignore_errors=True)


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, default=ROOT / "build/release/backstay")
    parser.add_argument("--size", type=int, default=3072, help="MiB of the dataset; trees and archives of the other rows shrink with it")
    parser.add_argument("--rounds", type=int, default=3, help="the median counts")
    parser.add_argument("--only", action="append", choices=list(ROWS), help="this row; can be given again")
    parser.add_argument("--stores", default="directory,s3", help="where the repositories lie")
    parser.add_argument("--wal-mib", type=int, help="the WAL backlog that is drained (2048 with the whole dataset)")
    parser.add_argument("--replay-mib", type=int, help="the WAL that is replayed (1024 with the whole dataset)")
    parser.add_argument("--chain", type=int, default=50, help="incrementals before the restore of the last one")
    parser.add_argument("--long", action="store_true", help="also what takes the peer minutes")
    parser.add_argument("--json", type=Path, help="write the rows there")
    arguments = parser.parse_args()
    arguments.wal_mib = arguments.wal_mib or max(64, min(2048, arguments.size * 2 // 3))
    arguments.replay_mib = arguments.replay_mib or max(64, min(1024, arguments.size // 3))
    return arguments


def main() -> None:
    arguments = read_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended then too
    bench = Bench(arguments)
    try:
        bench.run(arguments.only or [name for name in ROWS if name not in ON_DEMAND])
    finally:
        bench.close()
    bench.results.print()
    if arguments.json:
        arguments.json.write_text(json.dumps(bench.results.rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
