"""kill -9 of the server in the middle of its work, and of PostgreSQL under load: it ends well, or it is undone."""
import os
import signal

import pytest
from conftest import Deployed, deploy

from support import bodies
from support.load import Writer, postmaster_pids
from support.server import processes_below
from support.waiting import wait_for


def kill_during(server, operation_id: str, step: int) -> str:
    """kill -9 as soon as the operation has come to its step; returns the step's name, or how it ended before."""
    api = server.api()

    def there():
        operation = api.operation(operation_id)
        if operation["state"] in ("succeeded", "failed", "cancelled"):
            return operation["state"]
        return operation["step"] if operation["state"] == "running" and operation["stepNumber"] >= step else None
    seen = wait_for(f"operation {operation_id} at step {step}", there, 120, interval=0.01)
    server.kill()
    return seen


def ends_well_or_is_undone(server, deployed: Deployed, operation_id: str) -> bool:
    """After the restart. True if the service works; else it is gone with everything it had."""
    api = server.start().api()
    deployed.api = api
    operation = api.wait_for_operation(operation_id, 240)
    if operation["state"] == "succeeded":
        api.wait_for_state(deployed.id, "synchronized")
        return True
    assert operation["error"]["message"] and operation["error"]["nextStep"], "a failure says what happened and what to do"
    assert not [where for where in processes_below(server.state_dir).values() if deployed.id in where]
    return False


@pytest.mark.parametrize("step", [1, 2, 3])
def test_the_server_is_killed_during_a_creation(own_server, step):
    api = own_server.api()
    team = api.get("/teams")[0]["id"]
    store = bodies.directory_store(own_server.state_dir, "crash")
    deployed = deploy(api, bodies.service(team, "survivor", bodies.new_password(), store), wait=False)
    kill_during(own_server, deployed.created["operationId"], step)
    assert ends_well_or_is_undone(own_server, deployed, deployed.created["operationId"]), "a creation can always be resumed"
    deployed.database().sql("CREATE TABLE works (i int)")
    deployed.api.wait_for_backup(deployed.id)
    assert len(postmaster_pids(own_server.state_dir)) == 1, "not two servers for one service"


def filled(server, megabytes: int) -> Deployed:
    api = server.api()
    team = api.get("/teams")[0]["id"]
    store = bodies.directory_store(server.state_dir, "crash")
    deployed = deploy(api, bodies.service(team, "filled", bodies.new_password(), store))
    deployed.database().sql(f"CREATE TABLE ballast AS SELECT i, repeat(md5(i::text), 30) AS t FROM generate_series(1, {megabytes * 1000}) i")
    api.wait_for_backup(deployed.id)
    return deployed


def test_the_server_is_killed_during_a_backup(own_server):
    deployed = filled(own_server, 100)
    database = deployed.database()
    fingerprint = database.fingerprint("ballast")
    entry = deployed.api.post(f"/managed-services/{deployed.id}/backups")

    def under_way():
        backup = [b for b in deployed.api.backups(deployed.id) if b["id"] == entry["id"]][0]
        return backup["state"] != "scheduled"
    wait_for("the backup is under way", under_way, 60, interval=0.01)
    own_server.kill()

    database.sql("CREATE TABLE written_meanwhile AS SELECT 1 AS i")
    api = deployed.api = own_server.start().api()
    backup = api.wait_for_backup(deployed.id, entry["id"], 240)
    recovered = deploy(api, bodies.service(deployed.body["teamId"], "of-that-backup", bodies.new_password()) |
                       {"recoverFrom": bodies.recover(deployed.store, id=backup["id"])})
    assert recovered.database().fingerprint("ballast") == fingerprint
    assert database.sql("SELECT i FROM written_meanwhile") == "1"


@pytest.mark.parametrize("step", [1, 2, 3])
def test_the_server_is_killed_during_a_recovery(own_server, step):
    deployed = filled(own_server, 20)
    before, moment = deployed.database().fingerprints(), deployed.now()
    body = bodies.service(deployed.body["teamId"], "recovered", bodies.new_password()) | {
        "recoverFrom": bodies.recover(deployed.store, msId=deployed.id, time=moment)}
    recovered = deploy(deployed.api, body, wait=False)
    kill_during(own_server, recovered.created["operationId"], step)
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
        writer.wait_for_more(100, 120)
        (after,) = postmaster_pids(own_server.state_dir)
    assert after != before
    writer.check(deployed.database())
    wait_for("the event log says why", lambda: "server.died" in api.events_text(deployed.id), 30)

    moment = deployed.now()
    window = f"/api/managed-services/{deployed.id}/recovery-window"
    wait_for("the receiver is back and the window has caught up", lambda: api.get(window)["latest"] > moment, 60)
    recovered = deploy(api, bodies.service(team, "after-the-crash", bodies.new_password()) |
                       {"recoverFrom": bodies.recover(deployed.store, msId=deployed.id, time=moment)})
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
