"""Backup schedules: made, run now, kept by their own count, and known again after a restart."""
from datetime import datetime, timezone

import pytest
from conftest import deploy

from support import bodies
from support.api import ApiError
from support.waiting import wait_for


@pytest.fixture
def scheduled(new_server):
    """A service with backups on a server that removes without a grace."""
    server = new_server("schedules", environment={"BACKSTAY_CONTROL_REMOVAL_GRACE_HOURS": "0"}).start()
    api = server.api()
    body = bodies.service(api.get("/teams")[0]["id"], "kept", bodies.new_password(), bodies.directory_store(server.state_dir, "kept"))
    deployed = deploy(api, body)
    api.wait_for_backup(deployed.id)
    yield server, deployed
    server.destroy()


def run_now(api, schedule: dict) -> str:
    backup = api.post(f"/api/schedules/{schedule['id']}/run")
    assert backup["scheduleId"] == schedule["id"]
    wait_for("the run has ended", lambda: api.get(f"/api/schedules/{schedule['id']}")["lastRun"]["outcome"] == "completed", 60)
    return backup["id"]


def test_a_schedule_keeps_its_newest_backups(scheduled):
    server, deployed = scheduled
    api = deployed.api
    made = api.post("/api/schedules", {"serviceId": deployed.id, "name": "nightly", "cron": "30 2 * * *", "timeZone": "Europe/Berlin", "retentionCount": 2})
    assert made["enabled"] and len(made["nextRuns"]) == 5 and "lastRun" not in made
    now = datetime.now(timezone.utc)
    runs = [datetime.fromisoformat(time.replace("Z", "+00:00")) for time in made["nextRuns"]]
    assert now < runs[0] and all(23 <= (b - a).total_seconds() / 3600 <= 25 for a, b in zip(runs, runs[1:]))

    taken = [run_now(api, made) for _ in range(4)]
    left = lambda: [backup["id"] for backup in api.backups(deployed.id) if backup.get("scheduleId") == made["id"]]
    wait_for("only the newest two are left", lambda: sorted(left()) == sorted(taken[2:]), 60)
    place = server.state_dir / "stores/kept"
    wait_for("the others have left the store", lambda: not any(taken[0] in str(path) for path in place.rglob("*") if path.is_file()), 60)
    assert [backup for backup in api.backups(deployed.id) if "scheduleId" not in backup], "the service's own stays"

    server.stop()
    server.start()
    deployed.api = api = server.api()
    again = api.get(f"/api/schedules/{made['id']}")
    assert again["lastRun"]["backupId"] == taken[3] and again["nextRuns"] == made["nextRuns"]
    fifth = run_now(api, made)
    wait_for("the count holds after the restart", lambda: sorted(left()) == sorted([taken[3], fifth]), 60)
    copy = deploy(api, {key: value for key, value in deployed.body.items() if key != "backups"} | {"name": "copy", "recoverFrom": bodies.recover(deployed.store, id=fifth)})
    assert copy.database().fingerprints() == deployed.database().fingerprints()

    api.delete(f"/api/schedules/{made['id']}")
    assert api.get(f"/api/schedules?serviceId={deployed.id}") == []
    assert sorted(left()) == sorted([taken[3], fifth]), "what it made stays"


def test_a_schedule_runs_by_itself_and_holds_its_destination(scheduled):
    _, deployed = scheduled
    api = deployed.api
    destination = api.get("/api/destinations")[0]["id"]
    made = api.post("/api/schedules", {"serviceId": deployed.id, "cron": "* * * * *", "destinationId": destination, "retentionDays": 3})
    wait_for("its time has come", lambda: api.get(f"/api/schedules/{made['id']}").get("lastRun", {}).get("outcome") == "completed", 120)
    (backup,) = [backup for backup in api.backups(deployed.id) if backup.get("scheduleId") == made["id"]][:1]
    assert backup["origin"] == "scheduled"
    with pytest.raises(ApiError) as refused:
        api.delete(f"/api/destinations/{destination}")
    assert refused.value.answer.status == 409
    off = api.patch(f"/api/schedules/{made['id']}", {"enabled": False})
    assert off["nextRuns"] == []
