"""Pausing: the server goes, the data stays, and the archive knows all of it."""
import os

import pytest
from conftest import deploy

from support import bodies
from support.api import ApiError
from support.waiting import wait_for


@pytest.fixture(scope="module")
def sleeper(shared_server, team):
    api = shared_server.api()
    deployed = deploy(api, bodies.service(team, "sleeper", bodies.new_password(),
                                          bodies.directory_store(shared_server.state_dir, "sleeper")))
    deployed.database().sql(bodies.WELL_FILLED)
    api.wait_for_backup(deployed.id)
    return deployed


def set_pause(deployed, pause: bool) -> str:
    state = deployed.api.patch(f"/managed-services/{deployed.id}", {"pause": pause})["status"]["state"]
    deployed.api.wait_for_state(deployed.id, "paused" if pause else "synchronized", 60)
    return state


def processes_below(directory) -> list:
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/cwd").startswith(str(directory)):
                found.append(pid)
        except OSError:
            continue
    return found


def test_a_paused_service_releases_its_processes_and_keeps_its_data(sleeper, shared_server):
    before = sleeper.database().fingerprints()
    details = sleeper.api.details(sleeper.id)
    assert set_pause(sleeper, True) in ("pausing", "paused")
    resource = sleeper.resource()
    assert resource["pause"] is True and resource["status"]["state"] == "paused"
    assert sleeper.api.details(sleeper.id)["ready"] is False
    services = shared_server.state_dir / "instances"
    mine = [path for path in services.iterdir() if str(details["port"]) in (path / "config/postgresql.conf").read_text()]
    assert len(mine) == 1 and processes_below(mine[0]) == []

    with pytest.raises(ApiError) as refused:
        sleeper.api.post(f"/managed-services/{sleeper.id}/backups")
    assert "resume" in refused.value.answer.body["hint"]

    assert set_pause(sleeper, False) in ("unpausing", "synchronized")
    assert sleeper.api.details(sleeper.id) == details
    assert sleeper.database().fingerprints() == before


def test_a_change_while_paused_is_in_effect_after_it(sleeper):
    set_pause(sleeper, True)
    sleeper.api.patch(f"/managed-services/{sleeper.id}", {"config": {"work_mem": "7MB"}})
    sleeper.api.wait_for_state(sleeper.id, "paused", 60)
    set_pause(sleeper, False)
    assert sleeper.database().sql("SHOW work_mem") == "7MB"


def test_a_paused_service_stays_paused_over_a_restart_and_can_be_recovered(own_server):
    api = own_server.api()
    team = api.get("/teams")[0]["id"]
    body = bodies.service(team, "asleep", bodies.new_password(), bodies.directory_store(own_server.state_dir, "asleep"))
    deployed = deploy(api, body)
    api.wait_for_backup(deployed.id)
    deployed.database().sql(bodies.WELL_FILLED)  # only the write-ahead log knows
    before = deployed.database().fingerprints()
    set_pause(deployed, True)
    own_server.stop()
    own_server.start()
    deployed.api = api = own_server.api()
    assert deployed.resource()["status"]["state"] == "paused"

    store = bodies.directory_store(own_server.state_dir, "asleep")
    again = deploy(api, {key: value for key, value in body.items() if key != "backups"} |
                   {"name": "asleep-again", "recoverFrom": bodies.recover(store, msId=deployed.id)})
    assert again.database().fingerprints() == before
    assert deployed.resource()["status"]["state"] == "paused"
    set_pause(deployed, False)
    assert deployed.database().fingerprints() == before
    wait_for("the archive goes on", lambda: api.get(f"/api/managed-services/{deployed.id}/recovery-window") is not None, 30)


def test_a_restart_cuts_sessions_and_keeps_what_was_committed(sleeper):
    before = sleeper.database().fingerprints()
    began = sleeper.database().sql("SELECT pg_postmaster_start_time()")
    answer = sleeper.api.post(f"/api/managed-services/{sleeper.id}/restart")
    assert answer["status"]["state"] == "updating"
    assert sleeper.api.wait_for_operation(answer["operationId"])["state"] == "succeeded"
    sleeper.api.wait_for_state(sleeper.id, "synchronized")
    assert sleeper.database().sql("SELECT pg_postmaster_start_time()") > began
    assert sleeper.database().fingerprints() == before
    names = [event["eventName"] for event in sleeper.resource()["recentEvents"]]
    assert "service.restarting" in names and "server.died" not in names
