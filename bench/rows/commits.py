"""From a commit until a recovery from the store alone has it, under steady writes; and what idleness costs."""
import threading
import time

import psycopg2

from bench.measure import percentile
from support.waiting import let_time_pass

WRITES_EACH_SECOND = 50
SETTLE_SECONDS, IDLE_SECONDS = 30, 60


def commit_to_restorable(bench) -> None:
    for place in bench.places:
        backstay = bench.backstay(place)
        with backstay.receiver():
            bench.cluster.wait_in_sql(backstay.stored_up_to(bench.cluster.wal_position()))
            waits = steady_writes(backstay, 15 if bench.size < 1024 else 40)
            bench.results.at_most(f"commit to restorable, {place.name}: 99 %", percentile(waits, 99), 5, "s")
            bench.results.shown(f"commit to restorable, {place.name}: median", percentile(waits, 50), "s")
            if not backstay.bucket:
                idle(bench, backstay)


def connect(cluster):
    connection = psycopg2.connect(host=str(cluster.socket), port=cluster.port, user=cluster.user, dbname="postgres")
    connection.autocommit = True
    return connection


class Advances:
    """When the slot, which holds what the store does not, was seen to advance, and how far."""

    def __init__(self, cluster):
        self.seen, self._cluster, self._stop = [], cluster, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        with connect(self._cluster).cursor() as cursor:
            while not self._stop.wait(0.02):
                cursor.execute("SELECT pg_wal_lsn_diff(restart_lsn, '0/0') FROM pg_replication_slots WHERE slot_name = 'bench'")
                self.seen.append((time.monotonic(), int(cursor.fetchone()[0])))

    def end(self) -> list:
        self._stop.set()
        self._thread.join()
        return self.seen


def steady_writes(backstay, seconds: float) -> list:
    """How long each commit waited."""
    advances, commits = Advances(backstay.cluster), []
    with connect(backstay.cluster).cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS steady (at timestamptz, note text)")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            cursor.execute("INSERT INTO steady VALUES (now(), repeat('x', 200)) RETURNING 1")
            committed = time.monotonic()
            cursor.execute("SELECT pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')")
            commits.append((committed, int(cursor.fetchone()[0])))
            let_time_pass(1 / WRITES_EACH_SECOND)
        backstay.cluster.wait_in_sql(backstay.stored_up_to(backstay.cluster.wal_position()))
        let_time_pass(0.1)
    seen, waits, at = advances.end(), [], 0
    for committed, position in commits:
        while at < len(seen) and seen[at][1] < position:
            at += 1
        if at < len(seen):
            waits.append(max(0.0, seen[at][0] - committed))
    return waits


def idle(bench, backstay) -> None:
    """Once what was written has settled, the server's own notes of it too, new objects and their bytes."""
    let_time_pass(SETTLE_SECONDS)
    store, begin = backstay.home / "store", time.time()
    let_time_pass(IDLE_SECONDS)
    new = [path.stat().st_size for path in store.rglob("*") if path.is_file() and path.stat().st_mtime > begin]
    bench.results.at_most(f"objects written in {IDLE_SECONDS} s of idleness", len(new), 1, "")
    bench.results.at_most("their bytes", sum(new), 1024, "B")
