"""The PostgreSQL that everything is measured on, and its data."""
import os
import pwd
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Optional

from bench.measure import Took, run_timed

BIN = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))[-1]

# Rows of about 440 bytes with their indexes: text, jsonb and numbers that compress 3:1, as tables of applications do.
MIXED_TABLE = """
CREATE TABLE mixed (id bigint, who uuid, note text, extra jsonb, amount numeric(18, 4), at timestamptz);
INSERT INTO mixed SELECT i, md5(i::text)::uuid,
    md5((i * 7)::text) || ' ' || md5((i * 7 + i % 5)::text) || ' ' || md5((i % 1000)::text) || ' ' || md5((i / 5)::text),
    jsonb_build_object('kind', 'k' || i % 11, 'n', i, 'hash', md5((i % 1000)::text)), (i::bigint * 7919 % 100000007) / 1000.0,
    timestamptz '2026-01-01' + i * interval '1 second'
  FROM generate_series(1, {rows}) i;
ALTER TABLE mixed ADD PRIMARY KEY (id);
CREATE INDEX ON mixed (who);
VACUUM (FREEZE, ANALYZE) mixed;
"""
MIXED_ROW_BYTES = 440

# Four databases beside the standard ones, and 300 small tables: about 3,400 files.
SMALL_TABLES = """DO $$ BEGIN FOR i IN 1..300 LOOP
  EXECUTE format('CREATE TABLE small_%s AS SELECT g AS id, md5(g::text) AS note FROM generate_series(1, 20) g', i);
  EXECUTE format('CREATE INDEX ON small_%s (id)', i);
END LOOP; END $$"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Cluster:
    """Runs as the user `postgres` when started by root, since PostgreSQL refuses to run as root."""

    def __init__(self, home: Path):
        self.home, self.port = home, free_port()
        self.data, self.socket = home / "data", home / "socket"
        self.as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.geteuid() == 0 else []
        # The owner of a recovered server is let in as the role of that name.
        self.user = "postgres" if self.as_user else pwd.getpwuid(os.geteuid()).pw_name

    @property
    def environment(self) -> dict:
        return {**os.environ, "PGHOST": str(self.socket), "PGPORT": str(self.port), "PGUSER": self.user, "PGDATABASE": "postgres",
                "HOME": str(self.home)}

    def timed(self, *command: object) -> Took:
        """A command as the server's user, connected to the server by its environment."""
        return run_timed([*self.as_user, *map(str, command)], self.environment, self.home)

    def run(self, *command: object, text: Optional[str] = None, check: bool = True, timeout: float = 3600) -> str:
        """The same with input, for what is not measured; its output."""
        done = subprocess.run([*self.as_user, *map(str, command)], env=self.environment, input=text, capture_output=True, text=True,
                              cwd=self.home, timeout=timeout)
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, command[:3]))} failed ({done.returncode}):\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout

    def sql(self, statement: str, database: str = "postgres") -> str:
        return self.run(BIN / "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database, "-f", "-", text=statement).strip()

    def create(self, segment_mebibytes: int = 16, **more: object) -> "Cluster":
        for directory in (self.home, self.socket):
            directory.mkdir(exist_ok=True, parents=True)
            if self.as_user:
                shutil.chown(directory, "postgres", "postgres")
        self.run(BIN / "initdb", "-D", self.data, "-U", self.user, "--auth=trust", "--data-checksums", "--no-sync", "-E", "UTF8",
                 "--no-locale", f"--wal-segsize={segment_mebibytes}")
        settings = {"port": self.port, "unix_socket_directories": f"'{self.socket}'", "listen_addresses": "''", "shared_buffers": "'512MB'",
                    "autovacuum": "off", "max_wal_size": "'8GB'", "checkpoint_timeout": "'1h'", "wal_compression": "off",
                    "archive_mode": "on", "archive_command": "'true'", "max_wal_senders": 10, "wal_keep_size": "'64MB'", **more}
        self.run("tee", "-a", self.data / "postgresql.conf", text="".join(f"{key} = {value}\n" for key, value in settings.items()))
        self.start()
        return self

    def start(self) -> None:
        self.run(BIN / "pg_ctl", "-D", self.data, "-w", "-l", self.home / "postgresql.log", "start")

    def stop(self) -> None:
        self.run(BIN / "pg_ctl", "-D", self.data, "-w", "-m", "immediate", "stop", check=False)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    def fill(self, mebibytes: int) -> "Cluster":
        """About that much data, half pgbench, half mixed."""
        self.run(BIN / "pgbench", "-i", "-q", "-s", max(1, mebibytes // 2 // 15))
        self.sql(MIXED_TABLE.format(rows=max(1000, mebibytes * 2**20 // 2 // MIXED_ROW_BYTES)))
        self.sql("CHECKPOINT")
        return self

    def fill_small(self) -> "Cluster":
        """Many small files, about 64 MB in all."""
        for number in range(1, 5):
            self.sql(f"CREATE DATABASE more_{number}")
        self.sql(SMALL_TABLES)
        self.sql("CHECKPOINT")
        return self

    def size(self) -> int:
        return int(self.sql("SELECT sum(pg_database_size(oid)) FROM pg_database"))

    def wal_position(self) -> str:
        return self.sql("SELECT pg_current_wal_lsn()")

    def archive_with(self, command: str) -> None:
        escaped = command.replace("'", "''")
        self.sql(f"ALTER SYSTEM SET archive_command = '{escaped}'")
        self.sql("SELECT pg_reload_conf()")

    def make_wal(self, mebibytes: int) -> str:
        """Writes about that much write-ahead log and ends its segment; returns the position after it."""
        self.sql("CREATE TABLE IF NOT EXISTS churn (id bigint, body text)")
        start = self.wal_position()
        while int(self.sql(f"SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '{start}')::bigint")) < mebibytes * 2**20:
            self.sql("INSERT INTO churn SELECT i, repeat(md5(i::text), 6) FROM generate_series(1, 100000) i; TRUNCATE churn")
        return self.sql("SELECT pg_switch_wal()")

    def wait_in_sql(self, condition: str) -> None:
        """Until the condition holds, looked at each 5 ms in the server, which costs next to nothing beside what is measured."""
        self.sql(f"""DO $$ BEGIN FOR i IN 1..60000 LOOP IF {condition} THEN RETURN; END IF;
            PERFORM pg_stat_clear_snapshot(), pg_sleep(0.005); END LOOP; RAISE 'not within 5 minutes: {condition.replace("'", "''")}'; END $$""")


class RestoredServer:
    """A server that a contender restored, below a directory of its own."""

    def __init__(self, cluster: Cluster, data: Path, directory: Path, port: int):
        self.cluster, self.data, self.directory, self.port = cluster, data, directory, port

    def first_query(self, question: str) -> str:
        return self.cluster.run(BIN / "psql", "-X", "-A", "-t", "-h", self.directory, "-p", self.port, "-c", question).strip()

    def is_ready(self) -> bool:
        return subprocess.run([BIN / "pg_isready", "-q", "-h", self.directory, "-p", str(self.port)]).returncode == 0

    def stop(self) -> None:
        self.cluster.run(BIN / "pg_ctl", "-D", self.data, "-w", "-m", "immediate", "stop", check=False)
