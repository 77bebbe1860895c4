"""A PostgreSQL for the state of servers: on a socket in a directory of its own, without TCP."""
import os
import pwd
import shutil
import subprocess
from pathlib import Path

from .database import newest_postgresql
from .waiting import wait_for


class StateDatabase:
    def __init__(self, directory: Path):
        self.directory, self.process, self.made = Path(directory), None, 0
        self.user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None

    def _become(self):
        if self.user:
            os.setgroups([])
            os.setgid(self.user.pw_gid)
            os.setuid(self.user.pw_uid)

    def _command(self, name: str, *arguments: str) -> list:
        return [str(newest_postgresql() / name), *arguments]

    def start(self) -> "StateDatabase":
        data = self.directory / "data"
        if not data.exists():
            self.directory.mkdir(exist_ok=True)
            if self.user:
                shutil.chown(self.directory, self.user.pw_uid, self.user.pw_gid)
            subprocess.run(self._command("initdb", "--no-sync", "--auth=trust", "--encoding=UTF8", "--no-locale",
                                         "--username=backstay", "-D", str(data)),
                           check=True, capture_output=True, preexec_fn=self._become, cwd="/")
        with open(self.directory.parent / "state-database.log", "ab") as log:
            self.process = subprocess.Popen(self._command("postgres", "-D", str(data), "-c", "listen_addresses=", "-c",
                                                          f"unix_socket_directories={self.directory}", "-c", "max_connections=500"),
                                            stdout=log, stderr=log, preexec_fn=self._become, cwd="/")
        wait_for("the state's database answers", lambda: subprocess.run(
            self._command("psql", self.url, "-c", "SELECT 1"), capture_output=True).returncode == 0, 60)
        return self

    @property
    def url(self) -> str:
        return self.url_of("postgres")

    def url_of(self, name: str) -> str:
        return f"postgresql:///{name}?host={self.directory}&user=backstay"

    def new_database(self) -> str:
        """The URL of an empty database, for the state of one server."""
        self.made += 1
        name = f"state_{self.made}"
        self.sql(f"CREATE DATABASE {name}")
        return self.url_of(name)

    def sql(self, statement: str) -> str:
        done = subprocess.run(self._command("psql", self.url, "-X", "-A", "-t", "-c", statement), capture_output=True, text=True,
                              check=True)
        return done.stdout.strip()

    def stop(self) -> None:
        if self.process:
            self.process.send_signal(3)  # SIGQUIT: at once
            self.process.wait(30)
            self.process = None
