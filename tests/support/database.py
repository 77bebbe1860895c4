"""psql and pg_dump against a service, as its owner would."""
import hashlib
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Optional


def newest_postgresql() -> Path:
    """Where the newest installed PostgreSQL keeps its programs, as Debian lays them out."""
    return max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))


@dataclass
class Database:
    host: str
    port: int
    user: str
    name: str
    password: str
    sslmode: str = "require"

    @staticmethod
    def of(details: dict, password: str, user: Optional[str] = None) -> "Database":
        """From a service's details; user and database name stand in the dsn."""
        match = re.match(r"postgres(?:ql)?://(?P<user>[^@/:]+)(?::[^@]*)?@[^/]+/(?P<name>[^?]+)", details["dsn"])
        if match is None:
            raise ValueError(f"the dsn is not a URL: {details['dsn']}")
        return Database(details["hostname"], int(details["port"]), user or match["user"], match["name"], password)

    def environment(self) -> dict:
        # pg_amcheck has no wrapper in /usr/bin.
        path = f"{os.environ.get('PATH', '')}:{newest_postgresql()}"
        return {**os.environ, "PATH": path, "PGHOST": self.host, "PGPORT": str(self.port), "PGUSER": self.user, "PGDATABASE": self.name,
                "PGPASSWORD": self.password, "PGSSLMODE": self.sslmode, "PGCONNECT_TIMEOUT": "10", "PGTZ": "UTC"}

    def run(self, *command: str, text: str = "", timeout: float = 300) -> str:
        environment = self.environment()
        program = shutil.which(command[0], path=environment["PATH"]) or command[0]
        done = subprocess.run([program, *command[1:]], input=text, env=environment, capture_output=True, text=True, timeout=timeout)
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]} failed ({done.returncode}): {done.stderr.strip()}")
        return done.stdout

    def sql(self, statements: str, timeout: float = 300) -> str:
        """Runs the statements in one session, each in its own transaction; the rows, columns separated by '|'."""
        return self.run("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-", text=statements, timeout=timeout).strip()

    def dump(self) -> str:
        """The whole database as SQL, without what differs between two dumps of the same content."""
        text = self.run("pg_dump", "--no-comments")
        return "\n".join(line for line in text.splitlines() if not line.startswith(("\\restrict", "\\unrestrict", "--")))

    def tables(self) -> list:
        return self.sql("SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace "
                        "ORDER BY relname").split()

    def fingerprints(self) -> dict:
        """table -> (number of rows, hash over all rows in the order of their text)."""
        return {table: self.fingerprint(table) for table in self.tables()}

    def fingerprint(self, table: str) -> tuple:
        rows, digest = self.sql(f'SELECT count(*), md5(coalesce(string_agg(md5(t::text), \'\' ORDER BY t::text COLLATE "C"), \'\')) '
                                f'FROM "{table}" t').split("|")
        return int(rows), digest


def hash_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
