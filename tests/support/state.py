"""The state of a server beneath its API, for tests that move time, make much or look for secrets: SQLite or PostgreSQL."""
import sqlite3
import subprocess
from pathlib import Path

from .database import newest_postgresql


class SqliteState:
    def __init__(self, file: Path):
        self.file = Path(file)

    def run(self, statements: list) -> None:
        connection = sqlite3.connect(self.file)
        try:
            for statement in statements:
                connection.execute(statement)
            connection.commit()
        finally:
            connection.close()

    def value(self, statement: str) -> str:
        connection = sqlite3.connect(self.file)
        try:
            return connection.execute(statement).fetchone()[0]
        finally:
            connection.close()

    def columns(self, table: str) -> list:
        connection = sqlite3.connect(self.file)
        try:
            return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        finally:
            connection.close()

    def holds(self, text: bytes) -> bool:
        """Whether the bytes lie anywhere in it, in clear."""
        files = list(self.file.parent.glob(self.file.name + "*"))
        assert files
        return any(text in file.read_bytes() for file in files)


class PostgresqlState:
    def __init__(self, url: str):
        self.url = url

    def _client(self, name: str, *options: str) -> str:
        return subprocess.run([str(newest_postgresql() / name), self.url, *options], capture_output=True, text=True, check=True).stdout

    def run(self, statements: list) -> None:
        for statement in [*statements, "ANALYZE"]:
            self.value(statement)

    def value(self, statement: str) -> str:
        return self._client("psql", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement).strip()

    def columns(self, table: str) -> list:
        return self.value("SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND "
                          f"table_name = '{table}' ORDER BY ordinal_position").split()

    def holds(self, text: bytes) -> bool:
        dump = self._client("pg_dump", "--data-only")
        assert "COPY public.services" in dump
        return text.decode() in dump or text.hex() in dump  # bytea is shown in hexadecimal digits
