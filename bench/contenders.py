"""The three that are measured: Backstay, pgBackRest tuned as its guide says, and pg_basebackup with tar."""
import json
import shutil
import signal
import subprocess
from pathlib import Path

from bench.cluster import BIN, Cluster
from support.waiting import wait_for


class Backstay:
    name = "backstay"

    def __init__(self, cluster: Cluster, program: Path):
        self.cluster, self.home = cluster, cluster.home / "backstay"
        # The server's user must reach the program, wherever it was built.
        self.home.mkdir()
        for file in (program, program.parent / "backstay-restore-wal"):
            shutil.copy2(file, self.home)
        self.access = ["--store", f"file://{self.home}/store", "--key-file", self.home / "key"]
        if cluster.as_user:
            shutil.chown(self.home, "postgres", "postgres")

    def command(self, *arguments: object) -> list:
        return [self.home / "backstay", *arguments, *self.access]

    def prepare(self) -> None:
        self.cluster.run("mkdir", "-p", self.home / "store")
        self.cluster.run(*self.command("repository", "init"))

    def back_up(self) -> None:
        made = self.cluster.run(*self.command("pg", "backup", "--instance", "bench", "--data-directory", self.cluster.data, "--connection",
                                              "user=bench", "--workers", 2, "-o", "json"))
        self.backup = json.loads(made)["backup"]

    def stored_bytes(self) -> int:
        return sum(path.stat().st_size for path in (self.home / "store").rglob("*") if path.is_file())

    def restore(self, target: Path) -> None:
        self.cluster.run(*self.command("repository", "restore", "--instance", "bench", "--backup", self.backup, "--directory", target))

    def stored_position(self) -> str:
        return self.cluster.sql("SELECT coalesce(max(restart_lsn), '0/0') FROM pg_replication_slots WHERE slot_name = 'bench'")

    def receive_until(self, position: str) -> None:
        """Runs the receiver until the slot was advanced that far: it goes no further than what the store holds."""
        receiver = subprocess.Popen([*self.cluster.as_user, *map(str, self.command("pg", "receive-wal", "--instance", "bench",
                                     "--data-directory", self.cluster.data, "--connection", "user=bench", "--slot", "bench"))],
                                    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=self.home)
        try:
            wait_for(f"WAL up to {position} is stored",
                     lambda: receiver.poll() is not None or self.cluster.sql(
                         f"SELECT '{self.stored_position()}'::pg_lsn >= '{position}'::pg_lsn") == "t", 600, interval=0.02)
            if receiver.poll() is not None:
                raise RuntimeError(f"receive-wal ended: {receiver.stderr.read().decode()[-2000:]}")
        finally:
            receiver.send_signal(signal.SIGTERM)
            receiver.wait(60)


class PgBackRest:
    name = "pgbackrest"

    def __init__(self, cluster: Cluster):
        self.cluster, self.home = cluster, cluster.home / "pgbackrest"
        self.repository, self.config = self.home / "repository", self.home / "pgbackrest.conf"

    def command(self, *arguments: object) -> list:
        return ["pgbackrest", f"--config={self.config}", "--stanza=bench", *arguments]

    def prepare(self) -> None:
        for directory in (self.repository, self.home / "log", self.home / "lock", self.home / "spool"):
            self.cluster.run("mkdir", "-p", directory)
        self.cluster.run("tee", self.config, text=f"""[global]
repo1-path={self.repository}
repo1-bundle=y
repo1-retention-full=2
repo1-cipher-type=aes-256-cbc
repo1-cipher-pass=of-the-benchmark
process-max=2
compress-type=zst
compress-level=1
start-fast=y
archive-async=y
log-level-console=warn
log-level-file=off
log-path={self.home}/log
lock-path={self.home}/lock
spool-path={self.home}/spool
[bench]
pg1-path={self.cluster.data}
pg1-port={self.cluster.port}
pg1-socket-path={self.cluster.socket}
pg1-user=bench
pg1-database=postgres
""")
        self.cluster.run(*self.command("stanza-create"))

    def begin_archiving(self) -> None:
        self.cluster.archive_with(" ".join(map(str, self.command("archive-push", "%p"))))

    def end_archiving(self) -> None:
        self.cluster.archive_with("true")

    def back_up(self) -> None:
        self.cluster.run(*self.command("backup", "--type=full"))

    def stored_bytes(self) -> int:
        newest = max((path for path in (self.repository / "backup/bench").iterdir() if path.name.endswith("F")), key=lambda p: p.name)
        return sum(path.stat().st_size for path in newest.rglob("*") if path.is_file())

    def restore(self, target: Path) -> None:
        self.cluster.run(*self.command("restore", f"--pg1-path={target}", "--type=immediate"))

    def wait_until_archived(self, segment: str) -> None:
        wait_for(f"{segment} is archived", lambda: self.cluster.sql(
            f"SELECT last_archived_wal >= '{segment}' FROM pg_stat_archiver") == "t", 600, interval=0.02)


class PgBaseBackup:
    name = "pg_basebackup"

    def __init__(self, cluster: Cluster):
        self.cluster, self.home = cluster, cluster.home / "basebackup"

    def prepare(self) -> None:
        pass

    def back_up(self) -> None:
        shutil.rmtree(self.home, ignore_errors=True)
        self.cluster.run(BIN / "pg_basebackup", "-D", self.home, "-Ft", "-X", "stream", "-c", "fast", "--compress=server-zstd:level=1,workers=2",
                         "--no-manifest")

    def stored_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.home.rglob("*") if path.is_file())

    def restore(self, target: Path) -> None:
        self.cluster.run("bash", "-c", f"set -o pipefail; zstd -dc '{self.home}/base.tar.zst' | tar -xC '{target}' && "
                         f"tar -xC '{target}/pg_wal' -f '{self.home}/pg_wal.tar' && sync -f '{target}'")
