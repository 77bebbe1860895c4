"""The three that are measured: Backstay, pgBackRest tuned as its guide says, and pg_basebackup with tar. Both engines
encrypt, check page sums and write zstd level 1 with two workers; the S3 store is reached over TLS."""
import contextlib
import json
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Iterator, List, Optional

from bench.cluster import BIN, Cluster, RestoredServer, free_port
from bench.measure import Took
from bench.places import DirectoryPlace, S3Place
from support.waiting import wait_for

SLOT = "bench"
FULL = ("--full",)


class Contender:
    """One engine with a repository of its own at one place."""

    def __init__(self, kind: str, cluster: Cluster, place):
        self.cluster, self.place = cluster, place
        self.name = f"{kind}-{place.name}"
        self.home = cluster.home / self.name
        cluster.run("mkdir", self.home)
        self.bucket, self.port = "", 0
        if isinstance(place, S3Place):
            self.bucket, self.port = place.rgw.make_bucket(kind), place.port
            shutil.copy(place.rgw.ca_file, self.home / "ca.crt")
            (self.home / "ca.crt").chmod(0o644)

    def put(self, name: str, text: str) -> Path:
        self.cluster.run("tee", self.home / name, text=text)
        return self.home / name

    @contextlib.contextmanager
    def through(self, port: int) -> Iterator[None]:
        """Reaches its S3 store by another port meanwhile."""
        before, self.port = self.port, port
        try:
            yield
        finally:
            self.port = before

    def target(self, name: str) -> Path:
        """A new empty directory of the server's user."""
        directory = self.cluster.home / name
        shutil.rmtree(directory, ignore_errors=True)
        self.cluster.run("mkdir", "-m", "700", directory)
        return directory


class Backstay(Contender):
    def __init__(self, cluster: Cluster, program: Path, place=None):
        super().__init__("backstay", cluster, place or DirectoryPlace())
        # The server's user must reach the program, wherever it was built.
        for file in (program, program.parent / "backstay-restore-wal"):
            shutil.copy2(file, self.home)
        self.backup = ""
        if self.bucket:
            keys = f"aws_access_key_id = {self.place.rgw.access_key}\naws_secret_access_key = {self.place.rgw.secret_key}\n"
            self.put("keys", keys)
        else:
            cluster.run("mkdir", self.home / "store")
        cluster.run(*self.command("repository", "init"))

    def command(self, *arguments: object) -> list:
        store = [f"file://{self.home}/store"]
        if self.bucket:
            store = [f"s3://{self.bucket}/bench", "--endpoint-url", f"https://127.0.0.1:{self.port}", "--region", "default",
                     "--ca-file", self.home / "ca.crt", "--credentials-file", self.home / "keys"]
        return [self.home / "backstay", *arguments, "--key-file", self.home / "key", "--store", *store]

    @property
    def server(self) -> list:
        return ["--instance", "bench", "--data-directory", self.cluster.data, "--connection", f"user={self.cluster.user}"]

    def back_up(self) -> Took:
        return self._back_up(*FULL)

    def back_up_incrementally(self) -> Took:
        """What the WAL proves unchanged is not read."""
        took = self._back_up()
        if not self.report["incremental"]:
            raise RuntimeError(f"the backup became a full: {self.report['fullReason']}")
        return took

    def _back_up(self, *options: object) -> Took:
        took = self.cluster.timed(*self.command("pg", "backup", *self.server, "--workers", 2, "-o", "json", *options))
        self.report = json.loads(took.output)
        self.backup = self.report["backup"]
        return took

    def confirm(self) -> Took:
        return self.cluster.timed(*self.command("repository", "verify", "--instance", "bench", "--backup", self.backup))

    def stored_bytes(self) -> int:
        return int(self.report["storedBytes"])

    def restore(self, name: str, backup: str = "") -> Took:
        """The files alone."""
        target = self.cluster.home / name
        shutil.rmtree(target, ignore_errors=True)
        return self.cluster.timed(*self.command("repository", "restore", "--instance", "bench", "--backup", backup or self.backup,
                                                "--directory", target))

    def recover(self, name: str, *target: object, helper: Optional[Path] = None) -> "tuple[Took, RestoredServer]":
        """Files, replay, promotion, and a server that takes connections."""
        root, port = self.cluster.home / name, free_port()
        shutil.rmtree(root, ignore_errors=True)
        more = ["--restore-helper", helper] if helper else []
        took = self.cluster.timed(*self.command("repository", "restore", "--instance", "bench", *(target or ("--backup", self.backup)),
                                                "--directory", root, "--recover", "--start", "--port", port, "-o", "json", *more))
        report = json.loads(took.output)
        return took, RestoredServer(self.cluster, Path(report["dataDirectory"]), root / "socket", port)

    def stored_up_to(self, position: str) -> str:
        return f"EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = '{SLOT}' AND restart_lsn >= '{position}')"

    @contextlib.contextmanager
    def receiver(self) -> Iterator[subprocess.Popen]:
        """Streams WAL meanwhile; its slot is advanced to what the store holds."""
        with open(self.home / "receiver.log", "ab") as log:
            process = subprocess.Popen([*self.cluster.as_user, *map(str, self.command("pg", "receive-wal", *self.server, "--slot", SLOT))],
                                       stdout=subprocess.DEVNULL, stderr=log, cwd=self.home)
        try:
            # From here on the instance is known, and the server keeps what follows.
            slot_is_there = f"SELECT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = '{SLOT}')"
            wait_for("the receiver streams", lambda: process.poll() is not None or self.cluster.sql(slot_is_there) == "t", 60)
            yield process
            if process.poll() is not None:
                raise RuntimeError(f"receive-wal ended: {(self.home / 'receiver.log').read_text()[-2000:]}")
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)

    def receive_until(self, position: str) -> float:
        """The seconds from the receiver's start until the store has everything before that."""
        begin = time.monotonic()
        with self.receiver():
            self.cluster.wait_in_sql(self.stored_up_to(position))
            return time.monotonic() - begin


class PgBackRest(Contender):
    def __init__(self, cluster: Cluster, place=None, block: bool = False):
        """`block`: increments by block, which this version has as a beta; restores of small files suffer from it."""
        super().__init__("pgbackrest-block" if block else "pgbackrest", cluster, place or DirectoryPlace())
        for directory in ("repository", "log", "lock", "spool"):
            cluster.run("mkdir", self.home / directory)
        store = f"repo1-path={self.home}/repository\n"
        if self.bucket:
            store = (f"repo1-path=/bench\nrepo1-type=s3\nrepo1-s3-bucket={self.bucket}\nrepo1-s3-endpoint=127.0.0.1\nrepo1-storage-verify-tls=n\n"
                     f"repo1-s3-uri-style=path\nrepo1-s3-region=default\nrepo1-s3-key={self.place.rgw.access_key}\n"
                     f"repo1-s3-key-secret={self.place.rgw.secret_key}\n")
        blocks = "beta=y\nrepo1-block=y\n" if block else ""
        self.config = self.put("pgbackrest.conf", f"""[global]
{store}{blocks}repo1-bundle=y
repo1-retention-full=9
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
pg1-path={cluster.data}
pg1-port={cluster.port}
pg1-socket-path={cluster.socket}
pg1-user={cluster.user}
pg1-database=postgres
""")
        cluster.run(*self.command("stanza-create"))

    def command(self, *arguments: object) -> list:
        port = [f"--repo1-storage-port={self.port}"] if self.port else []
        return ["pgbackrest", f"--config={self.config}", "--stanza=bench", *port, *arguments]

    @contextlib.contextmanager
    def archiving(self) -> Iterator[None]:
        """It waits for its own archive at the end of a backup."""
        self.cluster.archive_with(" ".join(map(str, self.command("archive-push", "%p"))))
        try:
            yield
        finally:
            self.cluster.archive_with("true")

    def back_up(self, kind: str = "full") -> Took:
        with self.archiving():
            return self.cluster.timed(*self.command("backup", f"--type={kind}"))

    def back_up_incrementally(self) -> Took:
        return self.back_up("incr")

    def stored_bytes(self) -> int:
        """Of the newest backup."""
        info = json.loads(self.cluster.run(*self.command("info", "--output=json")))
        return int(info[0]["backup"][-1]["info"]["repository"]["delta"])

    def restore(self, name: str) -> Took:
        return self.cluster.timed(*self.command("restore", f"--pg1-path={self.target(name)}", "--type=immediate"))

    def recover(self, name: str, *target: object) -> "tuple[Took, RestoredServer]":
        root, port = self.target(name), free_port()
        wanted = target or ("--type=immediate",)
        took = self.cluster.timed(*self.command("restore", f"--pg1-path={root}", "--target-action=promote", *wanted))
        # Readers are let in once the files agree, which is long before the replay up to a target ends.
        readers = "off" if target else "on"
        options = f"-p {port} -k {root} -c archive_mode=off -c hot_standby={readers}"
        took += self.cluster.timed(BIN / "pg_ctl", "-D", root, "-w", "-t", 600, "-o", options, "-l", root / "server.log", "start")
        server = RestoredServer(self.cluster, root, root, port)
        if target:
            wait_for("the replay ends", server.is_ready, 600, interval=0.02)
        return took, server

    def archived(self, segment: str) -> str:
        return f"EXISTS (SELECT FROM pg_stat_archiver WHERE last_archived_wal >= '{segment}')"


class PgBaseBackup:
    def __init__(self, cluster: Cluster):
        self.cluster, self.home = cluster, cluster.home / "basebackup"

    def back_up(self) -> Took:
        shutil.rmtree(self.home, ignore_errors=True)
        return self.cluster.timed(BIN / "pg_basebackup", "-D", self.home, "-Ft", "-X", "stream", "-c", "fast",
                                  "--compress=server-zstd:level=1,workers=2", "--no-manifest")


def zstd_alone(cluster: Cluster) -> Took:
    """The yardstick: the codec over the same bytes."""
    return cluster.timed("bash", "-c", f"tar -C '{cluster.data}' --exclude=./pg_wal -c . 2>/dev/null | zstd -q -1 -T2 -f -o '{cluster.home}/yard.zst'")
