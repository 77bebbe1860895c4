"""A running `backstay serve` on a state directory of its own, and the processes of its services."""
import fcntl
import json
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Optional

from .api import Api
from .state import PostgresqlState, SqliteState
from .waiting import wait_for


def make_state_directory(purpose: str) -> Path:
    """A fresh directory that other users may pass through: as root, services run under their own uids."""
    directory = Path(tempfile.mkdtemp(prefix=f"backstay-{purpose}-", dir="/var/tmp"))
    directory.chmod(0o711)
    return directory


def processes_below(directory: Path) -> dict:
    """pid -> working directory of each process that works below the directory: a postmaster and its children do."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                where = os.readlink(f"/proc/{entry}/cwd")
            except OSError:
                continue
            if where.startswith(f"{directory}/"):
                found[int(entry)] = where
    return found


def parent_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0


def send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


class Block:
    """Ports and users that no other server of this machine's test runs has. One machine is meant to have one server: two
    would take each other's ports, and who deletes a service kills all that runs as its user."""

    def __init__(self):
        for number in random.sample(range(98), 98):
            # Held by the lock, which ends with this process at the latest; the file stays.
            self.lock = open(os.path.join(tempfile.gettempdir(), f"backstay-test-block-{number}"), "wb")
            try:
                fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.lock.close()
                continue
            self.number = number
            return
        raise RuntimeError("98 servers of tests run on this machine: there is no block of ports left")

    def environment(self) -> dict:
        port, user = 20000 + 100 * self.number, 100000 + 1000 * self.number
        return {"BACKSTAY_POSTGRES_FIRST_PORT": str(port), "BACKSTAY_POSTGRES_LAST_PORT": str(port + 99),
                "BACKSTAY_POSTGRES_FIRST_UID": str(user), "BACKSTAY_POSTGRES_LAST_UID": str(user + 999)}

    def release(self) -> None:
        self.lock.close()


class Server:
    def __init__(self, program: Path, home: Path, environment: Optional[dict] = None, options: Optional[list] = None,
                 block: Optional[Block] = None):
        """`home` holds everything: state, master key, logs. It is the caller's to remove."""
        self.program, self.home = Path(program).resolve(), Path(home)
        self.state_dir = self.home / "state"
        self.log_file = self.home / "server.log"
        self.environment, self.options = environment or {}, options or []
        self.block = block or Block()
        self.process: Optional[subprocess.Popen] = None

    def command(self) -> list:
        return [str(self.program), "serve", "--state-dir", str(self.state_dir), "--listen", "127.0.0.1:0", *self.options]

    def start(self, seconds: float = 60) -> "Server":
        endpoint = self.state_dir / "endpoint.json"
        endpoint.unlink(missing_ok=True)
        # Backups are restored and looked at where a test wants that, not whenever a service has its first one.
        usual = {"BACKSTAY_VERIFICATION_EVERY_HOURS": "0"}
        environment = {**os.environ, **self.block.environment(), **usual, **{key: str(value) for key, value in self.environment.items()}}
        with open(self.log_file, "ab") as log:
            # A session of its own: it outlives a terminal, and a signal to the test run does not reach it.
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.home,
                                            env=environment, start_new_session=True)

        def ready():
            if self.process.poll() is not None:
                raise RuntimeError(f"backstay serve ended with {self.process.returncode}:\n{self.log_tail()}")
            return endpoint.is_file() and self.raw_health() == 200
        try:
            wait_for("backstay serve is ready", ready, seconds)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.log_tail()}") from None
        return self

    def raw_health(self) -> int:
        try:
            return Api(self.url, None).raw("GET", "/ready", timeout=5).status
        except OSError:
            return 0

    @property
    def url(self) -> str:
        return json.loads((self.state_dir / "endpoint.json").read_text())["url"]

    @property
    def state(self):
        """Beneath the API; written to only while the server is stopped."""
        url = self.environment.get("BACKSTAY_SERVER_STATE")
        return PostgresqlState(url) if url else SqliteState(self.state_dir / "state.sqlite")

    @property
    def token_file(self) -> Path:
        return self.state_dir / "admin-token"

    def api(self, trace=None) -> Api:
        return Api(self.url, self.token_file.read_text().strip(), trace)

    def log_text(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def log_tail(self, lines: int = 40) -> str:
        return "\n".join(self.log_text().splitlines()[-lines:])

    def stop(self, seconds: float = 60) -> int:
        """SIGTERM, as an operator would; the services go on."""
        if self.process is None:
            return 0
        self.process.terminate()
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
            raise TimeoutError(f"backstay serve did not stop within {seconds:g} s\n{self.log_tail()}") from None
        finally:
            self.process = None

    def kill(self) -> None:
        """SIGKILL: it has no chance to tidy up."""
        self.process.kill()
        self.process.wait(10)
        self.process = None

    def stop_services(self) -> None:
        """Ends every server process of the services. Only after the server itself has ended, which would restart them."""
        for pid, where in processes_below(self.home).items():
            if Path(where, "postmaster.pid").is_file() and parent_of(pid) not in processes_below(self.home):
                send(pid, signal.SIGQUIT)  # a postmaster takes its children and its shared memory with it
        try:
            wait_for("the services' processes end", lambda: not processes_below(self.home), 10)
        except TimeoutError:
            for pid in processes_below(self.home):
                send(pid, signal.SIGKILL)

    def destroy(self) -> None:
        """Ends everything and removes the directory."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        self.stop_services()
        shutil.rmtree(self.home, ignore_errors=True)
        self.block.release()


def masked(text: str) -> str:
    """JSON text whose secret values are hidden."""
    return re.sub(r'("(?:password|userPassword|superuserPassword|secretKey|accessKey)":\s*)"[^"]*"', r'\1"***"', text)
