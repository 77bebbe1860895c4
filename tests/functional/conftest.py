"""Black-box tests: the real program, real PostgreSQL servers, a real S3 store. Nothing is shared with another run."""
import os
import shutil
import sys
from pathlib import Path
from typing import Optional

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from support import bodies, contract  # noqa: E402
from support.api import Api  # noqa: E402
from support.database import Database  # noqa: E402
from support.server import Server, make_state_directory  # noqa: E402
from support.state_database import StateDatabase  # noqa: E402


def pytest_configure(config):
    Api.watch = contract.watch
    config.addinivalue_line("markers", "nightly: takes minutes; runs with ./dev test --nightly only")


@pytest.fixture(scope="session")
def program() -> Path:
    path = Path(os.environ.get("BACKSTAY_PROGRAM", ROOT / "build/release/backstay"))
    if not path.is_file():
        pytest.exit(f"{path} is not built; run ./dev build", returncode=2)
    return path


@pytest.fixture(scope="session")
def new_state():
    """Makes what tells a server where its state is: SQLite as it is by itself, or with BACKSTAY_TEST_STATE=postgresql a
    database of its own."""
    kind = os.environ.get("BACKSTAY_TEST_STATE", "sqlite")
    if kind == "sqlite":
        yield lambda: {}
        return
    assert kind == "postgresql", f"BACKSTAY_TEST_STATE is sqlite or postgresql, not '{kind}'"
    home = make_state_directory("state")
    database = StateDatabase(home / "state-database").start()
    yield lambda: {"BACKSTAY_SERVER_STATE": database.new_database()}
    database.stop()
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def new_server(program, new_state):
    """Makes servers, each with a home of its own; all are ended and removed when the run ends."""
    made = []

    def make(purpose: str, environment: Optional[dict] = None, **options) -> Server:
        server = Server(program, make_state_directory(purpose), environment={**new_state(), **(environment or {})}, **options)
        made.append(server)
        return server
    yield make
    for server in made:
        server.destroy()


@pytest.fixture(scope="session")
def shared_server(new_server) -> Server:
    """For tests that neither stop the server nor mind what other tests made on it."""
    return new_server("shared").start()


@pytest.fixture
def own_server(new_server):
    """A server that the test may kill."""
    server = new_server("own").start()
    yield server
    server.destroy()


@pytest.fixture(scope="session")
def rgw():
    from support.rgw import Rgw
    home = make_state_directory("rgw")
    store = Rgw(home).start()
    yield store
    store.stop()
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def server(shared_server) -> Server:
    return shared_server


@pytest.fixture
def api(shared_server):
    return shared_server.api()


@pytest.fixture(scope="session")
def team(shared_server) -> int:
    return shared_server.api().get("/teams")[0]["id"]


class Deployed:
    """A service with what a test needs to use it."""

    def __init__(self, api, body: dict, service: dict):
        self.api, self.body, self.id = api, body, service["id"]
        self.created = service

    @property
    def password(self) -> str:
        secrets = self.body["secrets"]
        return secrets.get("password") or secrets["userPassword"]

    @property
    def store(self) -> dict:
        return {key: self.body["backups"][key] for key in ("config", "secrets")}

    def resource(self) -> dict:
        return self.api.service(self.id)

    def database(self) -> Database:
        return Database.of(self.api.details(self.id), self.password)

    def superuser(self) -> Database:
        database = Database.of(self.api.details(self.id), self.body["secrets"]["superuserPassword"], "postgres")
        return database

    def backup(self) -> dict:
        """Takes a backup now and waits until it was read back."""
        entry = self.api.post(f"/managed-services/{self.id}/backups")
        return self.api.wait_for_backup(self.id, entry["id"])

    def now(self) -> str:
        """The database server's own clock."""
        return self.database().sql("SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")


def deploy(api, body: dict, wait: bool = True, seconds: float = 180) -> Deployed:
    deployed = Deployed(api, body, api.post("/managed-services", body))
    if wait:
        api.wait_for_state(deployed.id, "synchronized", seconds)
    return deployed


@pytest.fixture(scope="session")
def shop(shared_server, team) -> Deployed:
    """A service with data, backups and a confirmed first backup. Tests read it and add to it; none breaks it."""
    api = shared_server.api()
    body = bodies.service(team, "shop", bodies.new_password(), bodies.directory_store(shared_server.state_dir, "shop"))
    if os.geteuid() == 0:
        body["secrets"]["superuserPassword"] = bodies.new_password()
    deployed = deploy(api, body)
    deployed.database().sql(bodies.WELL_FILLED)
    api.wait_for_backup(deployed.id)
    return deployed
