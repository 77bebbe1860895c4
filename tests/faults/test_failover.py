"""A primary whose standby is promoted in the middle of a backup: the archive follows the branch, and what was stored on
either side of the switch can be recovered."""
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from support.rgw import free_ports
from support.server import make_state_directory, processes_below
from support.waiting import wait_for

BIN = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))[-1]
pytestmark = [pytest.mark.nightly, pytest.mark.skipif(os.geteuid() != 0, reason="the servers run as another user")]


class Node:
    """One PostgreSQL server of the user `postgres`, on a socket and a port of its own."""

    def __init__(self, home: Path, name: str):
        self.home, self.data, self.port = home, home / name, free_ports(1)[0]

    def run(self, *command, code: int = 0, timeout: float = 120) -> str:
        done = subprocess.run(["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", *map(str, command)], cwd=self.home,
                              capture_output=True, text=True, timeout=timeout, env={**os.environ, "HOME": str(self.home)})
        assert code is None or done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def sql(self, text: str) -> str:
        return self.run(BIN / "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", self.home, "-p", self.port, "-U", "postgres", "-c", text,
                        "postgres").strip()

    def configure(self) -> "Node":
        with open(self.data / "postgresql.conf", "a") as file:
            file.write(f"\nport = {self.port}\nlisten_addresses = ''\nunix_socket_directories = '{self.home}'\nwal_keep_size = '256MB'\n"
                       "max_wal_senders = 10\nfsync = off\nfull_page_writes = on\nshared_buffers = '32MB'\n")
        return self

    def start(self) -> "Node":
        self.run(BIN / "pg_ctl", "-D", self.data, "-w", "-l", self.home / f"{self.data.name}.log", "start")
        return self

    def stop(self, how: str) -> None:
        self.run(BIN / "pg_ctl", "-D", self.data, "-w", "-m", how, "stop", code=None)


@pytest.fixture
def pair():
    """A primary with a standby that follows it."""
    home = make_state_directory("failover")
    shutil.chown(home, "postgres", "postgres")
    primary, standby = Node(home, "one"), Node(home, "two")
    primary.run(BIN / "initdb", "-D", primary.data, "-U", "postgres", "--auth=trust", "--data-checksums", "--no-sync")
    primary.configure().start()
    primary.sql("CREATE TABLE promises (id int); CREATE TABLE bulk AS SELECT i, repeat(md5(i::text), 20) AS t FROM generate_series(1, 100000) AS i")
    primary.run(BIN / "pg_basebackup", "-D", standby.data, "-h", home, "-p", primary.port, "-U", "postgres", "-R", "-X", "stream",
                "-c", "fast", "--no-sync")
    standby.configure().start()
    yield primary, standby
    for node in (primary, standby):
        node.stop("immediate")
    for pid in processes_below(home):
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def backstay(pair, program):
    """Runs `backstay …` on the repository of the pair, as the servers' user."""
    primary, _ = pair
    place = ["--store", f"file://{primary.home}/store", "--key-file", str(primary.home / "key")]
    (primary.home / "store").mkdir()
    shutil.chown(primary.home / "store", "postgres", "postgres")

    def command(node: Node, *arguments) -> list:
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", str(program), *map(str, arguments), *place]

    def run(node: Node, *arguments, code: int = 0) -> dict:
        done = subprocess.run([*command(node, *arguments), "-o", "json"], cwd=node.home, capture_output=True, text=True, timeout=120)
        assert code is None or done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout) if done.returncode == 0 and done.stdout.strip() else {"error": done.stderr, "code": done.returncode}
    run(primary, "repository", "init")
    run.command = command
    return run


def server_options(node: Node) -> list:
    return ["--instance", "pair", "--data-directory", node.data, "--connection",
            f"host={node.home} port={node.port} user=postgres dbname=postgres"]


class Receiving:
    def __init__(self, backstay, node: Node):
        self.process = subprocess.Popen([*backstay.command(node, "pg", "receive-wal", *server_options(node), "--slot", "archive")],
                                        cwd=node.home, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(60)


def latest(backstay, node: Node) -> str:
    (instance,) = backstay(node, "repository", "list")
    return instance["latest"] or ""


def test_the_standby_is_promoted_in_the_middle_of_a_backup(pair, backstay):
    primary, standby = pair
    now = "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
    with Receiving(backstay, primary):
        wait_for("the instance is known", lambda: backstay(primary, "repository", "list"), 30)
        backstay(primary, "pg", "backup", *server_options(primary))
        primary.sql("INSERT INTO promises VALUES (1)")
        wait_for("the standby has it", lambda: standby.sql("SELECT count(*) FROM promises") == "1", 30)
        before = primary.sql(now)
        wait_for("it is archived", lambda: latest(backstay, primary) > before, 60)

        backup = subprocess.Popen([*backstay.command(primary, "pg", "backup", *server_options(primary), "--workers", "1")], cwd=primary.home,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait_for("the backup has begun", lambda: "backstay" in primary.sql(
            "SELECT string_agg(query, ' ') FROM pg_stat_activity WHERE query ILIKE '%pg_backup_start%'") or backup.poll() is not None or
            list((primary.home / "store").rglob("writing")), 30, interval=0.005)
        primary.stop("immediate")
        standby.run(BIN / "pg_ctl", "-D", standby.data, "-w", "promote")
        _, error = backup.communicate(timeout=120)
        assert backup.returncode != 0, "a backup whose server died is none"
        assert error.strip()
    (instance,) = backstay(standby, "repository", "list")
    assert len(instance["backups"]) == 1, "the attempt is not listed"

    standby.sql("INSERT INTO promises VALUES (2)")
    with Receiving(backstay, standby):
        done = backstay(standby, "pg", "backup", *server_options(standby))
        assert "error" not in done
        standby.sql("INSERT INTO promises VALUES (3)")
        after = standby.sql(now)
        wait_for("the branch is archived", lambda: latest(backstay, standby) > after, 60)

    for moment, rows in ((before, "1"), (after, "1,2,3")):
        node = Node(primary.home, f"recovered-{rows.replace(',', '')}")
        backstay(standby, "pg", "recover", "--instance", "pair", "--target-time", moment, "--directory", node.data, "--start", "--port", node.port)
        (pid_file,) = node.data.rglob("postmaster.pid")
        lines = pid_file.read_text().splitlines()
        text = standby.run(BIN / "psql", "-XqAt", "-h", (pid_file.parent / lines[4]).resolve(), "-p", lines[3], "-U", "postgres", "-c",
                           "SELECT string_agg(id::text, ',' ORDER BY id) FROM promises", "postgres").strip()
        os.kill(int(lines[0]), signal.SIGINT)
        assert text == rows
    report = backstay(standby, "repository", "verify")
    assert report["ok"], report["problems"]
