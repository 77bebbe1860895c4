"""A store that accepts connections and never answers holds up those who named it, and nobody else."""
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import deploy

from support import bodies
from support.api import Api
from support.waiting import wait_for


class Acceptor:
    """Listens on a free port; `take` gets each connection."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        threading.Thread(target=self.take_all, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def take_all(self) -> None:
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            self.take(client)

    def take(self, client: socket.socket) -> None:
        raise NotImplementedError

    def close(self) -> None:
        self.listener.close()


class SilentStore(Acceptor):
    """Takes every connection and says nothing."""

    def __init__(self):
        self.taken: list = []
        super().__init__()

    def take(self, client: socket.socket) -> None:
        self.taken.append(client)

    def close(self) -> None:
        super().close()
        for connection in self.taken:
            connection.close()


@pytest.fixture
def silent():
    store = SilentStore()
    yield store
    store.close()


def member_of_a_new_team(server, name: str) -> tuple:
    admin = server.api()
    team = admin.post("/api/teams", {"name": name})["id"]
    return team, Api(server.url, admin.post("/api/tokens", {"name": name, "scopes": ["read", "write"], "teamIds": [team]})["token"])


def named_store(silent, number: int) -> dict:
    return {"config": {"endpointUrl": silent.url, "destinationPath": f"s3://silent-{number}/"},
            "secrets": {"accessKey": "key", "secretKey": "secret"}}


def test_a_silent_store_holds_up_nobody_else(own_server, silent):
    mine, mallory = member_of_a_new_team(own_server, "mallory")
    theirs, alice = member_of_a_new_team(own_server, "alice")
    began = time.monotonic()
    with ThreadPoolExecutor(16) as clients:
        asked = [clients.submit(mallory.raw, "POST", "/api/destinations", {"teamId": mine, "name": f"d{i}", **named_store(silent, i)})
                 for i in range(8)]
        wait_for("the store is being asked", lambda: silent.taken, 10)
        for path in ("/health", "/ready", "/metrics"):
            assert quick(Api(own_server.url, None), "GET", path) == 200
        store = bodies.directory_store(own_server.state_dir, "alice")
        assert quick(alice, "POST", "/api/destinations", {"teamId": theirs, "name": "mine", **store}) == 200
        assert quick(alice, "GET", "/managed-services") == 200
        answers = [future.result() for future in asked]
    assert time.monotonic() - began < 40
    assert not any(answer.status == 200 for answer in answers)
    busy = [answer for answer in answers if answer.body["code"] == "unavailable"]
    assert len(busy) >= 4, [answer.body for answer in answers]
    for answer in busy:
        assert answer.status == 503 and int(answer.headers["Retry-After"]) > 0 and "store" in answer.body["detail"]
    # What was held is given back.
    store = bodies.directory_store(own_server.state_dir, "mallory")
    assert mallory.raw("POST", "/api/destinations", {"teamId": mine, "name": "good", **store}).status == 200


def quick(api: Api, method: str, path: str, body=None) -> int:
    began = time.monotonic()
    status = api.raw(method, path, body, timeout=20).status
    assert time.monotonic() - began < 4, path
    return status


def test_a_receiver_whose_store_hangs_does_not_hold_up_other_services(own_server, silent, rgw):
    """Its store becomes silent after it was accepted; then its backups are turned off."""
    api = own_server.api()
    team = api.get("/teams")[0]["id"]
    relay = Relay(rgw.url)
    try:
        store = bodies.s3_store(rgw, rgw.make_bucket("hanging"))
        store["config"]["endpointUrl"] = relay.url
        hanging = deploy(api, bodies.service(team, "hanging", bodies.new_password(), store))
        other = deploy(api, bodies.service(team, "other", bodies.new_password()))
        api.wait_for_backup(hanging.id)
        relay.silent = True
        hanging.database().sql("CREATE TABLE t AS SELECT generate_series(1, 1000)")
        wait_for("the receiver waits for its store", lambda: relay.held > 0, 20)
        api.patch(f"/managed-services/{hanging.id}", {"backups": {"enabled": False}})
        began = time.monotonic()
        changed = api.patch(f"/managed-services/{other.id}", {"config": {"work_mem": "9MB"}})
        api.wait_for_operation(changed["operationId"])
        kill_postmaster(own_server, other)
        wait_for("the other service is restarted", lambda: answers(other), 20)
        assert time.monotonic() - began < 20
    finally:
        relay.close()


def answers(service) -> bool:
    try:
        return service.database().sql("SELECT 1") == "1"
    except RuntimeError:
        return False


def kill_postmaster(server, service) -> None:
    from support.server import parent_of, processes_below, send
    port = str(service.api.details(service.id)["port"])
    mine = [path for path in (server.state_dir / "instances").iterdir() if port in (path / "config/postgresql.conf").read_text()]
    below = processes_below(mine[0])
    for pid in below:
        if parent_of(pid) not in below:
            send(pid, 9)
    wait_for("it is dead", lambda: not answers(service), 10)


class Relay(Acceptor):
    """Between the server and a store, until it falls silent."""

    def __init__(self, url: str):
        host, port = url.removeprefix("http://").split(":")
        self.target, self.silent, self.held = (host, int(port)), False, 0
        self.open: list = []
        super().__init__()

    def take(self, client: socket.socket) -> None:
        store = socket.create_connection(self.target)
        self.open += [client, store]
        for source, sink in ((client, store), (store, client)):
            threading.Thread(target=self.copy, args=(source, sink), daemon=True).start()

    def copy(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                if self.silent:
                    self.held += 1
                    continue
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self) -> None:
        super().close()
        for connection in self.open:
            connection.close()
