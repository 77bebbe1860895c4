"""kill -9 of the server in the middle of its work, and of PostgreSQL under load: it ends well, or it is undone."""
import os
import signal
from typing import Optional

import pytest
from conftest import Deployed, deploy

from support import bodies
from support.load import Writer, postmaster_pids
from support.server import processes_below
from support.waiting import wait_for


ENDED = ("succeeded", "failed", "cancelled")


def kill_in(server, operation_id: str, phase: str) -> None:
    """kill -9 while the operation is in this phase. One that ended before would prove nothing."""
    api = server.api()

    def there():
        operation = api.operation(operation_id)
        assert operation["state"] not in ENDED, f"it ended before it was seen in '{phase}'"
        return operation["state"] == "running" and operation.get("progress", {}).get("phase") == phase
    wait_for(f"operation {operation_id} in '{phase}'", there, 120, interval=0.003)
    server.kill()


def open_operation(api, service_id: str, kind: str) -> str:
    return wait_for(f"an open operation '{kind}'", lambda: [
        operation["id"] for operation in api.get(f"/api/operations?serviceId={service_id}")
        if operation["kind"] == kind and operation["state"] not in ENDED], 60, interval=0.003)[0]


def ends_well_or_is_undone(server, deployed: Deployed, operation_id: str) -> bool:
    """After the restart. True if the service works; else it is gone with everything it had."""
    api = server.start().api()
    deployed.api = api
    operation = api.wait_for_operation(operation_id, 240)
    assert operation["attempts"] > 1, "it had ended before the kill"
    if operation["state"] == "succeeded":
        api.wait_for_state(deployed.id, "synchronized")
        return True
    assert operation["error"]["message"] and operation["error"]["nextStep"], "a failure says what happened and what to do"
    assert not [where for where in processes_below(server.state_dir).values() if deployed.id in where]
    return False


@pytest.mark.parametrize("phase", ["initialize", pytest.param("start", marks=pytest.mark.nightly)])
def test_the_server_is_killed_during_a_creation(own_server, phase):
    api = own_server.api()
    team = api.get("/teams")[0]["id"]
    store = bodies.directory_store(own_server.state_dir, "crash")
    deployed = deploy(api, bodies.service(team, "survivor", bodies.new_password(), store), wait=False)
    kill_in(own_server, deployed.created["operationId"], phase)
    assert ends_well_or_is_undone(own_server, deployed, deployed.created["operationId"]), "a creation can always be resumed"
    deployed.database().sql("CREATE TABLE works (i int)")
    deployed.api.wait_for_backup(deployed.id)
    assert len(postmaster_pids(own_server.state_dir)) == 1, "not two servers for one service"


def filled(server, megabytes: int, store: Optional[dict] = None) -> Deployed:
    api = server.api()
    team = api.get("/teams")[0]["id"]
    store = store or bodies.directory_store(server.state_dir, "crash")
    deployed = deploy(api, bodies.service(team, "filled", bodies.new_password(), store))
    deployed.database().sql(f"CREATE TABLE ballast AS SELECT i, repeat(md5(i::text), 30) AS t FROM generate_series(1, {megabytes * 1000}) i")
    api.wait_for_backup(deployed.id)
    return deployed


@pytest.mark.nightly
def test_the_server_is_killed_during_a_backup_that_goes_elsewhere(own_server):
    """Its log is streamed by a slot of its own, which must not stay; and what it is stands alone there."""
    deployed = filled(own_server, 100)
    database = deployed.database()
    fingerprint = database.fingerprint("ballast")
    place = deployed.api.post("/api/destinations", {
        "teamId": deployed.body["teamId"], "name": "elsewhere", **bodies.directory_store(own_server.state_dir, "elsewhere")})
    entry = deployed.api.post(f"/managed-services/{deployed.id}/backups", {"destinationId": place["id"]})
    operation = open_operation(deployed.api, deployed.id, "backup")
    kill_in(own_server, operation, "copy")

    database.sql("CREATE TABLE written_meanwhile AS SELECT 1 AS i")
    api = deployed.api = own_server.start().api()
    backup = api.wait_for_backup(deployed.id, entry["id"], 240)
    assert api.wait_for_operation(operation)["attempts"] > 1, "it had ended before the kill"
    assert backup["standsAlone"] and backup["destinationId"] == place["id"]
    # The first destination is out of reach: what is recovered comes from the other one alone.
    (own_server.state_dir / "stores" / "crash").rename(own_server.state_dir / "lost")
    recovered = deploy(api, bodies.service(deployed.body["teamId"], "from-elsewhere", bodies.new_password(), recoverFrom={"id": backup["id"]}))
    assert recovered.database().fingerprint("ballast") == fingerprint
    assert database.sql("SELECT count(*) FROM pg_replication_slots WHERE temporary") == "0", "no slot of the killed attempt is left"


@pytest.mark.parametrize("mechanism, phase", [("physical", "copy"), ("logical", "dump"), pytest.param("physical", "verify", marks=pytest.mark.nightly)])
def test_the_server_is_killed_during_a_backup(own_server, mechanism, phase):
    deployed = filled(own_server, 100)
    database = deployed.database()
    fingerprint = database.fingerprint("ballast")
    entry = deployed.api.post(f"/managed-services/{deployed.id}/backups", {"mechanism": mechanism})
    operation = open_operation(deployed.api, deployed.id, "backup")
    kill_in(own_server, operation, phase)

    database.sql("CREATE TABLE written_meanwhile AS SELECT 1 AS i")
    api = deployed.api = own_server.start().api()
    backup = api.wait_for_backup(deployed.id, entry["id"], 240)
    assert api.wait_for_operation(operation)["attempts"] > 1, "it had ended before the kill"
    recovered = deploy(api, bodies.service(deployed.body["teamId"], "of-that-backup", bodies.new_password()) |
                       {"recoverFrom": bodies.recover(deployed.store, id=backup["id"])})
    assert recovered.database().fingerprint("ballast") == fingerprint
    assert database.sql("SELECT i FROM written_meanwhile") == "1"
    assert not list((own_server.state_dir / "scratch").glob("*")), "what the killed attempt left is cleared"


@pytest.mark.nightly
def test_the_server_is_killed_while_a_dump_is_loaded(own_server):
    deployed = filled(own_server, 100)
    before = deployed.database().fingerprints()
    entry = deployed.api.post(f"/managed-services/{deployed.id}/backups", {"mechanism": "logical"})
    backup = deployed.api.wait_for_backup(deployed.id, entry["id"])
    body = bodies.service(deployed.body["teamId"], "loaded", bodies.new_password()) | {"recoverFrom": bodies.recover(deployed.store, id=backup["id"])}
    recovered = deploy(deployed.api, body, wait=False)
    kill_in(own_server, recovered.created["operationId"], "load")
    assert ends_well_or_is_undone(own_server, recovered, recovered.created["operationId"]), "a dump can always be loaded anew"
    assert recovered.database().fingerprints() == before
    assert not list((own_server.state_dir / "scratch").glob("*"))


@pytest.mark.parametrize("phase", ["restore", "replay", *(pytest.param(phase, marks=pytest.mark.nightly) for phase in ("hand_over", "start"))])
def test_the_server_is_killed_during_a_recovery(own_server, phase):
    deployed = filled(own_server, 100)
    deployed.database().sql("INSERT INTO ballast SELECT i, repeat(md5(i::text), 30) FROM generate_series(1, 100000) i")
    before, moment = deployed.database().fingerprints(), deployed.now()
    body = bodies.service(deployed.body["teamId"], "recovered", bodies.new_password()) | {
        "recoverFrom": bodies.recover(deployed.store, msId=deployed.id, time=moment)}
    recovered = deploy(deployed.api, body, wait=False)
    kill_in(own_server, recovered.created["operationId"], phase)
    assert ends_well_or_is_undone(own_server, recovered, recovered.created["operationId"]), "a recovery can always be resumed"
    assert recovered.database().fingerprints() == before
    deployed.api = recovered.api
    assert deployed.database().fingerprints() == before


def test_postgresql_is_killed_under_load(own_server):
    api = own_server.api()
    team = api.get("/teams")[0]["id"]
    store = bodies.directory_store(own_server.state_dir, "crash")
    deployed = deploy(api, bodies.service(team, "killed", bodies.new_password(), store))
    api.wait_for_backup(deployed.id)
    with Writer(deployed.database()) as writer:
        (before,) = postmaster_pids(own_server.state_dir)
        os.kill(before, signal.SIGKILL)
        # The writer's session outlives its postmaster until it has to wait for a statement.
        wait_for("another postmaster", lambda: postmaster_pids(own_server.state_dir) - {before}, 120)
        writer.wait_for_more(100, 120)
        (after,) = postmaster_pids(own_server.state_dir)
    assert after != before
    writer.check(deployed.database())
    wait_for("the event log says why", lambda: "server.died" in api.events_text(deployed.id), 30)

    recovered = deploy(api, bodies.service(team, "after-the-crash", bodies.new_password()) |
                       {"recoverFrom": bodies.recover(deployed.store, msId=deployed.id, time=deployed.now())})
    writer.check(recovered.database())


def test_services_survive_a_restart_of_the_server_and_are_adopted(own_server):
    api = own_server.api()
    team = api.get("/teams")[0]["id"]
    store = bodies.directory_store(own_server.state_dir, "restart")
    deployed = deploy(api, bodies.service(team, "adopted", bodies.new_password(), store))
    api.wait_for_backup(deployed.id)
    before = postmaster_pids(own_server.state_dir)
    with Writer(deployed.database()) as writer:
        assert own_server.stop() == 0
        writer.wait_for_more(50)
        api = deployed.api = own_server.start().api()
        writer.wait_for_more(50)
    assert not writer.refused, "the database never stopped"
    assert postmaster_pids(own_server.state_dir) == before
    api.wait_for_state(deployed.id, "synchronized")
    recovered = deploy(api, bodies.service(team, "across-the-restart", bodies.new_password()) |
                       {"recoverFrom": bodies.recover(deployed.store, msId=deployed.id, time=deployed.now())})
    writer.check(recovered.database())
