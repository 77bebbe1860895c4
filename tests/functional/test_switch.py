"""Candidates, switching over and back, and recovery in place, with what clients see of it."""
import contextlib
import os
import threading
from typing import Optional

import pytest
from conftest import Deployed, deploy

from support import bodies
from support.load import Writer, postmaster_pids
from support.outage import Prober
from support.waiting import wait_for

# What a client may be without answers, from the last of the old instance to the first of the new one. The sanitizers of a
# test build make the work in between a few times slower; PostgreSQL itself is the same.
MOST_SECONDS = 2.0
ENDED = ("succeeded", "failed", "cancelled")


class Shop(Deployed):
    """A service with a confirmed backup and a table of words."""

    @staticmethod
    def of(server, name: str, store: Optional[dict] = None) -> "Shop":
        api = server.api()
        team = api.get("/teams")[0]["id"]
        store = store or bodies.directory_store(server.state_dir, name)
        made = deploy(api, bodies.service(team, name, bodies.new_password(), store))
        shop = Shop(api, made.body, made.created)
        shop.database().sql("CREATE TABLE words (word text)")
        shop.api.wait_for_backup(shop.id)
        return shop

    def write(self, word: str) -> str:
        """Returns a time just after it was written."""
        self.database().sql(f"INSERT INTO words VALUES ('{word}')")
        return self.now()

    def words(self) -> list:
        return self.database().sql("SELECT word FROM words ORDER BY word").split()

    def recover(self, into: str, time: str, **more) -> dict:
        begun = self.api.post("/api/recoveries", {"serviceId": self.id, "time": time, "into": into, **more})
        operation = self.api.wait_for_operation(begun["operationId"], 240)
        assert operation["state"] == "succeeded", operation
        return begun | {"operation": operation}

    def candidate(self, time: str) -> Deployed:
        service = self.recover("candidate", time)["service"]
        return Deployed(self.api, self.body, self.api.wait_for_state(service["id"], "synchronized"))

    def words_at(self, time: str) -> list:
        made = self.recover("new", time, name=f"at-{time[11:].replace(':', '-').replace('.', '-')}")["service"]
        service = Shop(self.api, self.body, self.api.wait_for_state(made["id"], "synchronized"))
        words = service.words()
        self.api.delete(f"/managed-services/{service.id}?finalBackup=skip")
        return words

    def switch(self, **which) -> dict:
        begun = self.api.post(f"/api/managed-services/{self.id}/switch", which or None)
        operation = self.api.wait_for_operation(begun["operationId"], 240)
        assert operation["state"] == "succeeded", operation
        return operation

    def instances(self) -> list:
        return self.api.get(f"/api/managed-services/{self.id}/instances")


def is_settled(shop: Shop) -> bool:
    """What the old instance had not sent is in the store."""
    return all(not it.get("unsent") for it in shop.instances())


def test_a_service_goes_on_with_its_candidates_data_and_back(server):
    shop = Shop.of(server, "switched")
    api = shop.api
    before = shop.write("before")
    candidate = shop.candidate(before)
    assert candidate.resource()["candidateOf"] == shop.id
    assert candidate.resource()["name"].startswith("switched-restored-20")
    assert candidate.database().port != shop.database().port
    shop.write("mistake")
    with_mistake = shop.now()
    endpoint = shop.database()

    told = api.post(f"/api/managed-services/{shop.id}/switch?dryRun=true")
    assert told["dryRun"] and told["restarts"] and candidate.resource()["name"] in told["effects"][0]
    assert len(shop.instances()) == 1

    api.wait_for_backup(candidate.id)
    with Prober(endpoint, "SELECT count(*) FROM words WHERE word = 'mistake'") as prober:
        shop.switch()
        prober.wait_for_answer("0")
    outage = prober.seconds_between("1", "0")
    print(f"without service for {outage:.2f} s")
    assert outage < MOST_SECONDS
    assert shop.database() == endpoint, "same port, same password"
    assert shop.words() == ["before"]
    ended = api.service(candidate.id)
    assert ended["status"]["state"] == "deleted" and "switched" in ended["status"]["reason"]
    serving, former = shop.instances()
    assert serving["state"] == "serving" and former["state"] == "stopped" and former["keptUntil"]
    assert "service.switched" in api.events_text(shop.id)
    after = shop.write("after")

    wait_for("the old instance's last writes are stored", lambda: is_settled(shop), 60)
    assert len(postmaster_pids(server.state_dir)) >= 1
    assert shop.words_at(before) == ["before"]
    assert shop.words_at(with_mistake) == ["before", "mistake"]
    assert shop.words_at(after) == ["after", "before"]
    window = api.get(f"/api/managed-services/{shop.id}/recovery-window")
    assert window["earliest"] < before < after <= window["latest"]

    assert former["state"] == "stopped"
    shop.switch(back=True)
    assert shop.database() == endpoint
    assert shop.words() == ["before", "mistake"]
    again = shop.write("again")
    wait_for("the last writes are stored", lambda: is_settled(shop), 60)
    assert shop.words_at(after) == ["after", "before"], "that instance served then"
    assert shop.words_at(again) == ["again", "before", "mistake"]
    api.delete(f"/managed-services/{shop.id}?finalBackup=skip")


class Churn:
    """Changes rows all over a table on a thread of its own, and so makes pages dirty, until the server sends it away."""

    def __init__(self, database, rows: int):
        self.database, self.rows, self.changes = database, rows, 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        with contextlib.suppress(RuntimeError):
            while not self._stop.is_set():
                self.database.sql(f"UPDATE ballast SET n = n + 1 WHERE id % 97 = {self.changes % 97}")
                self.changes += 1

    def __enter__(self) -> "Churn":
        self._thread.start()
        wait_for("something is changed", lambda: self.changes > 1, 60)
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        self._thread.join(60)


@pytest.mark.skipif(os.geteuid() != 0, reason="asks the server as its superuser how much is dirty")
def test_dirty_pages_and_writers_make_it_no_longer(server):
    """Hundreds of megabytes that only memory has, and clients that go on making more of them."""
    rows, body = 150_000, {"plan": {"id": 2, "parameters": {"storage": 10}}}
    api = server.api()
    password = bodies.new_password()
    wanted = bodies.service(api.get("/teams")[0]["id"], "dirty", bodies.new_password(), bodies.directory_store(server.state_dir, "dirty"),
                            **body)
    wanted["secrets"]["superuserPassword"] = password
    made = deploy(api, wanted)
    shop = Shop(api, made.body, made.created)
    shop.database().sql("CREATE TABLE words (word text); CREATE TABLE ballast (id int PRIMARY KEY, n int, t text); "
                        "ALTER TABLE ballast ALTER t SET STORAGE PLAIN")
    api.wait_for_backup(shop.id)
    shop.candidate(shop.write("before"))
    shop.write("mistake")
    shop.database().sql(f"INSERT INTO ballast SELECT i, 0, repeat('x', 1900) FROM generate_series(1, {rows}) i")
    endpoint = shop.database()
    with Churn(endpoint, rows):
        superuser = shop.superuser()
        superuser.sql("CREATE EXTENSION pg_buffercache")
        dirty = int(superuser.sql("SELECT count(*) * 8 / 1024 FROM pg_buffercache WHERE isdirty"))
        assert dirty > 150, f"only {dirty} MiB are dirty"
        with Prober(endpoint, "SELECT count(*) FROM words WHERE word = 'mistake'") as prober:
            shop.switch()
            prober.wait_for_answer("0")
    outage = prober.seconds_between("1", "0")
    print(f"{dirty} MiB dirty, without service for {outage:.2f} s")
    assert outage < MOST_SECONDS
    api.delete(f"/managed-services/{shop.id}?finalBackup=skip")


def test_nothing_that_was_acknowledged_is_lost(server):
    shop = Shop.of(server, "promised")
    with Writer(shop.database()) as writer:
        candidate = shop.candidate(shop.now())
        shop.switch(candidateId=candidate.id)
        writer.wait_for_more(50)
    wait_for("the old instance's last writes are stored", lambda: is_settled(shop), 60)
    former = next(it for it in shop.instances() if it["state"] == "stopped")
    of_new = set(shop.database().sql("SELECT id FROM promises").split())
    made = shop.recover("new", former["served"][-1]["until"], name="promised-until-the-switch")["service"]
    old = Shop(shop.api, shop.body, shop.api.wait_for_state(made["id"], "synchronized"))
    of_old = set(old.database().sql("SELECT id FROM promises").split())
    lost = [number for number in writer.acknowledged if str(number) not in of_new | of_old]
    assert not lost, f"{len(lost)} promised rows are nowhere, e.g. {lost[:5]}"


def test_recovering_in_place(server):
    shop = Shop.of(server, "in-place")
    before = shop.write("kept")
    shop.write("mistake")
    endpoint = shop.database()
    told = shop.api.post("/api/recoveries?dryRun=true", {"serviceId": shop.id, "time": before, "into": "in-place"})
    assert told["dryRun"] and told["forecast"]
    recovery = shop.recover("in-place", before)
    switch = shop.api.wait_for_operation(recovery["operation"]["result"]["switchOperationId"], 240)
    assert switch["state"] == "succeeded", switch
    assert shop.database() == endpoint and shop.words() == ["kept"]
    backups = wait_for("a backup of what serves now", lambda: [
        it for it in shop.api.backups(shop.id) if it["origin"] == "safety" and it.get("confirmedAt")], 120)
    assert backups
    shop.write("later")
    assert shop.words() == ["kept", "later"]


@pytest.mark.parametrize("step", ["prepare", "fence", "start"])
def test_the_server_is_killed_during_a_switch(own_server, step):
    # A step may be over before it was seen: then another service's.
    for number in range(1, 6):
        shop = Shop.of(own_server, f"killed-{number}")
        candidate = shop.candidate(shop.write("before"))
        shop.write("mistake")
        endpoint = shop.database()
        operation = shop.api.post(f"/api/managed-services/{shop.id}/switch")["operationId"]
        seen = wait_for(f"the step '{step}'", lambda: is_in(shop.api.operation(operation), step), 60, interval=0.002)
        if seen["state"] not in ENDED:
            break
    else:
        pytest.fail(f"no switch was seen in '{step}'")
    own_server.kill()

    shop.api = own_server.start().api()
    assert shop.api.wait_for_operation(operation, 240)["state"] == "succeeded"
    shop.api.wait_for_state(shop.id, "synchronized")
    assert shop.database() == endpoint and shop.words() == ["before"]
    assert [it["state"] for it in shop.instances()] == ["serving", "stopped"]
    assert shop.api.service(candidate.id)["status"]["state"] == "deleted"
    wait_for("one server of each service is left", lambda: is_settled(shop) and len(postmaster_pids(own_server.state_dir)) == number, 60)


def is_in(operation: dict, step: str) -> Optional[dict]:
    """The operation, once it is in the step or has ended."""
    return operation if operation["state"] in ENDED or operation.get("step") == step else None


def test_after_the_grace_the_data_goes_and_its_times_stay(new_server):
    server = new_server("graceless", {"BACKSTAY_CONTROL_ROLLBACK_GRACE_HOURS": 0}).start()
    shop = Shop.of(server, "graceless")
    candidate = shop.candidate(shop.write("before"))
    with_mistake = shop.write("mistake")
    shop.switch(candidateId=candidate.id)
    wait_for("the old data is gone", lambda: [it["state"] for it in shop.instances()] == ["serving", "removed"], 60)
    assert "instance.discarded" in shop.api.events_text(shop.id)
    former = shop.instances()[1]
    refused = shop.api.raw("POST", f"/api/managed-services/{shop.id}/switch", {"instanceId": former["id"]})
    assert refused.body["code"] == "conflict" and refused.body["errors"][0]["pointer"] == "/instanceId"
    assert shop.words_at(with_mistake) == ["before", "mistake"]


def test_a_store_that_is_away_holds_nothing_up(own_server, rgw):
    shop = Shop.of(own_server, "patient", bodies.s3_store(rgw, rgw.make_bucket("switch"), "pg/"))
    candidate = shop.candidate(shop.write("before"))
    shop.api.wait_for_backup(candidate.id)
    with_mistake = shop.write("mistake")
    rgw.stop_gateway()
    try:
        with Prober(shop.database(), "SELECT count(*) FROM words WHERE word = 'mistake'") as prober:
            shop.switch()
            prober.wait_for_answer("0")
        assert prober.seconds_between("1", "0") < MOST_SECONDS
        assert not is_settled(shop), "what the store has not is told"
    finally:
        rgw.start_gateway()
    wait_for("the old instance's last writes are stored", lambda: is_settled(shop), 240)
    assert shop.words_at(with_mistake) == ["before", "mistake"]


def test_what_is_refused_changes_nothing(server):
    shop = Shop.of(server, "refusing")
    path = f"/api/managed-services/{shop.id}/switch"
    unknown = "11111111-2222-4333-8444-555555555555"
    bad = "invalid_argument"
    for body, code, pointer in ((None, "conflict", None), ({"candidateId": unknown}, bad, "/candidateId"),
                                ({"instanceId": unknown}, bad, "/instanceId"), ({"candidate": unknown}, bad, "/candidate")):
        for dry_run in ("true", "false"):
            answer = shop.api.raw("POST", f"{path}?dryRun={dry_run}", body)
            assert answer.body["code"] == code, answer
            assert [error["pointer"] for error in answer.body.get("errors", [])] == ([pointer] if pointer else []), answer
    for body, pointer in (({"into": "candidate"}, "/serviceId"), ({"serviceId": unknown, "into": "new"}, "/serviceId"),
                          ({"backupId": unknown}, "/backupId"), ({"serviceId": shop.id, "into": "elsewhere"}, "/into")):
        answer = shop.api.raw("POST", "/api/recoveries", body)
        assert answer.status == 400, answer
        assert [error["pointer"] for error in answer.body["errors"]] == [pointer], answer
    assert len(shop.instances()) == 1
    shop.api.delete(f"/managed-services/{shop.id}?finalBackup=skip")
