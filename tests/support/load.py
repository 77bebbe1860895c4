"""A writer that knows which of its rows the database promised to keep."""
import threading
from pathlib import Path

import psycopg2

from .server import processes_below
from .waiting import wait_for


class Writer:
    """Inserts one row per transaction on a thread of its own, reconnecting when the server is gone."""

    def __init__(self, database, table: str = "promises"):
        self.database, self.table = database, table
        self.acknowledged: list = []
        self.doubtful: list = []
        self.refused: list = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        database.sql(f"CREATE TABLE {table} (id bigint PRIMARY KEY, payload text)")

    def _connect(self):
        d = self.database
        return psycopg2.connect(host=d.host, port=d.port, user=d.user, dbname=d.name, password=d.password, sslmode=d.sslmode,
                                connect_timeout=5)

    def _run(self) -> None:
        number, connection = 0, None
        while not self._stop.is_set():
            number += 1
            try:
                if connection is None:
                    connection = self._connect()
                    connection.autocommit = True
                with connection.cursor() as cursor:
                    cursor.execute(f"INSERT INTO {self.table} VALUES (%s, repeat(md5(%s::text), 20))", (number, number))
                self.acknowledged.append(number)
            except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
                # The connection may have gone between the commit and its confirmation.
                self.doubtful.append(number)
                self.refused.append(str(error))
                connection = None
                self._stop.wait(0.05)

    def __enter__(self) -> "Writer":
        self._thread.start()
        self.wait_for_more(50)
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(30)

    def wait_for_more(self, rows: int, seconds: float = 60) -> None:
        goal = len(self.acknowledged) + rows
        wait_for(f"{rows} more rows are written", lambda: len(self.acknowledged) >= goal, seconds)

    def check(self, database) -> None:
        """Every promised row is there, whole, and nothing that was never sent."""
        rows = database.sql(f"SELECT id FROM {self.table} WHERE payload = repeat(md5(id::text), 20)").split()
        kept = {int(row) for row in rows}
        lost = sorted(set(self.acknowledged) - kept)
        assert not lost, f"{len(lost)} promised rows are lost, e.g. {lost[:5]}"
        strange = kept - set(self.acknowledged) - set(self.doubtful)
        assert not strange, f"rows that were never sent: {sorted(strange)[:5]}"


def postmaster_pids(home: Path) -> set:
    """The postmaster of each running service below the directory."""
    pids = set()
    for where in set(processes_below(home).values()):
        try:
            pids.add(int((Path(where) / "postmaster.pid").read_text().split("\n")[0]))
        except (FileNotFoundError, ValueError):
            pass  # It is about to write it, or has just removed it.
    return pids
