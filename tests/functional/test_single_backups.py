"""Single backups: pinned, labelled, given an expiry, deleted; and refused where something rests on them."""
import pytest
from conftest import deploy

from support import bodies
from support.api import ApiError
from support.waiting import wait_for


@pytest.fixture
def kept(new_server):
    """A service with three confirmed backups on a server that removes without a grace."""
    server = new_server("single", environment={"BACKSTAY_CONTROL_REMOVAL_GRACE_HOURS": "0"}).start()
    api = server.api()
    body = bodies.service(api.get("/teams")[0]["id"], "kept", bodies.new_password(), bodies.directory_store(server.state_dir, "kept"))
    deployed = deploy(api, body)
    ids = [api.wait_for_backup(deployed.id)["id"]] + [deployed.backup()["id"] for _ in range(2)]
    yield deployed, ids, server
    server.destroy()


def refusal(call) -> dict:
    with pytest.raises(ApiError) as refused:
        call()
    return refused.value.answer.body


def test_backups_are_pinned_and_deleted_one_by_one(kept):
    deployed, (first, second, third), server = kept
    api = deployed.api
    shown = api.get(f"/api/backups/{second}")
    assert shown["pinned"] is False and shown["dataBytes"] > 0 and shown["durationSeconds"] > 0
    assert shown["takenAt"] <= shown["storedAt"] <= shown["confirmedAt"] and "expiresAt" not in shown

    pinned = api.patch(f"/api/backups/{second}", {"pinned": True, "label": "before the move", "expiresAt": "2099-01-01T00:00:00Z"})
    assert (pinned["pinned"], pinned["label"], pinned["expiresAt"]) == (True, "before the move", "2099-01-01T00:00:00Z")
    labelled = api.patch(f"/api/backups/{second}", {"labels": {"release": "12", "by": "ops"}})
    assert labelled["labels"] == {"release": "12", "by": "ops"} and labelled["label"] == "before the move"
    assert api.patch(f"/api/backups/{second}", {"labels": {"by": None}})["labels"] == {"release": "12"}
    assert shown["number"] == api.get(f"/api/backups/{first}")["number"] + 1
    past = refusal(lambda: api.patch(f"/api/backups/{second}", {"expiresAt": "2020-01-01T00:00:00Z"}))
    assert past["errors"][0]["pointer"] == "/expiresAt"
    assert "pinned" in refusal(lambda: api.delete(f"/api/backups/{second}"))["detail"]
    assert "window" in refusal(lambda: api.delete(f"/api/backups/{first}"))["detail"]
    assert "expiresAt" not in api.patch(f"/api/backups/{second}", {"pinned": False, "expiresAt": None})

    assert api.delete(f"/api/backups/{second}")["state"] == "deleting"
    assert second not in [entry["id"] for entry in api.service(deployed.id)["backups"]["entries"]]
    place = server.state_dir / "stores/kept"
    wait_for("the backup has left store and lists", lambda: second not in [backup["id"] for backup in api.backups(deployed.id)]
             and not any(second in str(path) for path in place.rglob("*") if path.is_file()), 60)
    told = [event["body"] for event in api.get(f"/api/events?serviceId={deployed.id}") if event["eventName"] == "backups.removed"]
    assert told == ["1 backup was removed: its deletion was asked for"]

    body = {key: value for key, value in deployed.body.items() if key != "backups"}
    copy = deploy(api, body | {"name": "copy", "recoverFrom": bodies.recover(deployed.store, id=third)})
    assert copy.database().fingerprints() == deployed.database().fingerprints()


def test_the_last_good_backup_is_not_deleted(server, api, team):
    deployed = deploy(api, bodies.service(team, "single", bodies.new_password(), bodies.directory_store(server.state_dir, "single")))
    only = api.wait_for_backup(deployed.id)["id"]
    assert "last good backup" in refusal(lambda: api.delete(f"/api/backups/{only}"))["detail"]
    assert api.backups(deployed.id)[0]["state"] == "completed"
