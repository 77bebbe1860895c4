"""A client that asks in a loop and connects again when it is sent away: how long nobody answered it."""
import threading
import time

import psycopg2

from .waiting import wait_for


class Prober:
    """Runs `query` again and again; each answer is kept with the time before it was asked and after it came."""

    def __init__(self, database, query: str):
        self.database, self.query = database, query
        self.answers: list = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        d, connection = self.database, None
        while not self._stop.is_set():
            try:
                if connection is None:
                    connection = psycopg2.connect(host=d.host, port=d.port, user=d.user, dbname=d.name, password=d.password,
                                                  sslmode=d.sslmode, connect_timeout=2)
                    connection.autocommit = True
                with connection.cursor() as cursor:
                    begun = time.monotonic()
                    cursor.execute(self.query)
                    answer = str(cursor.fetchone()[0])
                self.answers.append((begun, time.monotonic(), answer))
            except (psycopg2.OperationalError, psycopg2.InterfaceError, psycopg2.DatabaseError):
                connection = None
            self._stop.wait(0.005)

    def __enter__(self) -> "Prober":
        self._thread.start()
        wait_for("the prober is answered", lambda: self.answers, 30)
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        self._thread.join(30)

    def wait_for_answer(self, answer: str, seconds: float = 60) -> None:
        wait_for(f"the answer {answer!r}", lambda: self.answers[-1][2] == answer, seconds, interval=0.01)

    def seconds_between(self, before: str, after: str) -> float:
        """From the last answer of the one kind to the first of the other."""
        first = next(i for i, answer in enumerate(self.answers) if answer[2] == after)
        assert all(answer[2] == before for answer in self.answers[:first]), "the answers changed once"
        return self.answers[first][1] - self.answers[first - 1][1]
