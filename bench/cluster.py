"""The PostgreSQL that everything is measured on, and its data."""
import os
import shutil
import subprocess
from pathlib import Path
from typing import Optional

BIN = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))[-1]

# Rows of about 440 bytes with their indexes: text that compresses 3:1, as tables of applications do.
MIXED_TABLE = """
CREATE TABLE mixed (id bigint, who uuid, note text, extra jsonb, at timestamptz);
INSERT INTO mixed SELECT i, md5(i::text)::uuid,
    (SELECT string_agg(md5((i * 7 + g % (1 + i % 5))::text), ' ') FROM generate_series(1, 4) g),
    jsonb_build_object('kind', 'k' || i % 11, 'n', i, 'hash', md5((i % 1000)::text)),
    timestamptz '2026-01-01' + i * interval '1 second'
  FROM generate_series(1, {rows}) i;
ALTER TABLE mixed ADD PRIMARY KEY (id);
CREATE INDEX ON mixed (who);
VACUUM (FREEZE, ANALYZE) mixed;
"""


class Cluster:
    """Runs as the user `postgres` when started by root, since PostgreSQL refuses to run as root."""

    def __init__(self, home: Path, port: int):
        self.home, self.port = home, port
        self.data, self.socket = home / "data", home / "socket"
        self.as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.geteuid() == 0 else []

    def run(self, *command: object, text: Optional[str] = None, check: bool = True, timeout: float = 3600) -> str:
        """A command as the server's user, connected to the server by its environment; its output."""
        environment = {**os.environ, "PGHOST": str(self.socket), "PGPORT": str(self.port), "PGUSER": "bench", "PGDATABASE": "postgres",
                       "HOME": str(self.home)}
        done = subprocess.run([*self.as_user, *map(str, command)], env=environment, input=text, capture_output=True, text=True,
                              cwd=self.home, timeout=timeout)
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, command[:3]))} failed ({done.returncode}):\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout

    def sql(self, statement: str) -> str:
        return self.run(BIN / "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-", text=statement).strip()

    def create(self) -> None:
        for directory in (self.home, self.socket):
            directory.mkdir(exist_ok=True)
            if self.as_user:
                shutil.chown(directory, "postgres", "postgres")
        self.run(BIN / "initdb", "-D", self.data, "-U", "bench", "--auth=trust", "--data-checksums", "--no-sync", "-E", "UTF8", "--no-locale")
        settings = {"port": self.port, "unix_socket_directories": f"'{self.socket}'", "listen_addresses": "''", "shared_buffers": "'512MB'",
                    "autovacuum": "off", "max_wal_size": "'8GB'", "checkpoint_timeout": "'1h'", "wal_compression": "off",
                    "archive_mode": "on", "archive_command": "'true'", "max_wal_senders": 10, "wal_keep_size": "'64MB'"}
        self.run("tee", "-a", self.data / "postgresql.conf", text="".join(f"{key} = {value}\n" for key, value in settings.items()))
        self.start()

    def start(self) -> None:
        self.run(BIN / "pg_ctl", "-D", self.data, "-w", "-l", self.home / "postgresql.log", "start")

    def stop(self) -> None:
        self.run(BIN / "pg_ctl", "-D", self.data, "-w", "-m", "immediate", "stop", check=False)

    def fill(self, mebibytes: int) -> int:
        """About that much data, two thirds pgbench, one third mixed; returns what it came to in bytes."""
        self.run(BIN / "pgbench", "-i", "-q", "-s", max(1, mebibytes * 2 // 3 // 15))
        self.sql(MIXED_TABLE.format(rows=max(1000, mebibytes * 1024 * 1024 // 3 // 440)))
        self.sql("CHECKPOINT")
        return int(self.sql("SELECT sum(pg_database_size(oid)) FROM pg_database"))

    def archive_with(self, command: str) -> None:
        escaped = command.replace("'", "''")
        self.sql(f"ALTER SYSTEM SET archive_command = '{escaped}'")
        self.sql("SELECT pg_reload_conf()")

    def make_wal(self, mebibytes: int) -> str:
        """Writes about that much write-ahead log and ends its segment; returns the position after it."""
        self.sql("CREATE TABLE IF NOT EXISTS churn (id bigint, body text)")
        start = self.sql("SELECT pg_current_wal_lsn()")
        while int(self.sql(f"SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '{start}')::bigint")) < mebibytes * 2**20:
            self.sql("INSERT INTO churn SELECT i, repeat(md5(i::text), 6) FROM generate_series(1, 100000) i; TRUNCATE churn")
        return self.sql("SELECT pg_switch_wal()")
