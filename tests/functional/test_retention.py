"""The server applies the retention by itself. Days pass by moving what happened into the past, in state and store alike."""
import os
from pathlib import Path

import pytest
from conftest import Deployed, deploy

from support import bodies
from support.api import ApiError
from support.waiting import wait_for

DAY = 24 * 3600 * 1_000_000


@pytest.fixture
def server(new_server):
    server = new_server("retention", environment={"BACKSTAY_CONTROL_REMOVAL_GRACE_HOURS": "0"}).start()
    yield server
    server.destroy()


def with_backups(server, name: str, days: int) -> Deployed:
    api = server.api()
    body = bodies.service(api.get("/teams")[0]["id"], name, bodies.new_password(), bodies.directory_store(server.state_dir, name))
    body["backups"]["deleteRetentionDays"] = days
    deployed = deploy(api, body)
    api.wait_for_backup(deployed.id)
    return deployed


def while_stopped(server, *statements: str) -> None:
    assert server.stop() == 0
    server.state.run(statements)
    server.start()


def age_store(place: Path, days: int) -> None:
    for path in place.rglob("*"):
        if path.is_file():
            at = path.stat().st_mtime - days * 24 * 3600
            os.utime(path, (at, at))


def names_of(place: Path) -> str:
    return " ".join(str(path.relative_to(place)) for path in place.rglob("*") if path.is_file())


def test_old_backups_go_and_what_was_promised_can_be_recovered(server):
    shop = with_backups(server, "shop", 1)
    place = server.state_dir / "stores/shop"
    ids = [shop.api.backups(shop.id)[0]["id"]]
    shop.database().sql(bodies.WELL_FILLED)
    ids += [shop.backup()["id"] for _ in range(2)]
    shop.database().sql(bodies.CHANGED_SINCE)
    before, moment = shop.database().fingerprints(), shop.now()
    wait_for("the store has everything",
             lambda: shop.api.get(f"/api/managed-services/{shop.id}/recovery-window").get("latest", "") > moment, 60)
    wal = names_of(place).count("/wal/")

    moved = ", ".join(f"{column} = {column} - {5 * DAY}" for column in ("scheduled_at", "initiated_at", "taken_at", "stored_at"))
    age_store(place, 5)
    while_stopped(server, f"UPDATE backups SET {moved}")
    api = shop.api = server.api()
    # The scheduled runs that were missed are caught up by one, and only then may anything go.
    wait_for("old backups are gone", lambda: set(ids[:2]).isdisjoint(backup["id"] for backup in api.backups(shop.id)), 120)
    left = api.backups(shop.id)
    assert len(left) == 2 and ids[2] in {backup["id"] for backup in left}, "the window begins with it"
    assert [backup["origin"] for backup in left if backup["id"] != ids[2]] == ["scheduled"]
    assert not any(gone in names_of(place) for gone in ids[:2]), "nothing of them is in the store"
    assert 0 < names_of(place).count("/wal/") < wal + 10
    bodies_told = [event["body"] for event in api.get(f"/api/events?serviceId={shop.id}") if event["eventName"] == "backups.removed"]
    assert any("older than 1 days, and newer ones are confirmed" in body for body in bodies_told), bodies_told
    with pytest.raises(ApiError) as refused:
        api.get(f"/api/backups/{ids[0]}")
    assert refused.value.answer.status == 404

    body = {key: value for key, value in shop.body.items() if key != "backups"}
    copy = deploy(api, body | {"name": "copy", "recoverFrom": bodies.recover(shop.store, msId=shop.id, time=moment)})
    assert copy.database().fingerprints() == before


def test_an_expired_service_leaves_store_and_state(server):
    gone = with_backups(server, "gone", 3)
    stays = with_backups(server, "stays", 3)
    api = gone.api
    answer = api.delete(f"/managed-services/{gone.id}")
    assert api.wait_for_operation(answer["operationId"])["state"] == "succeeded"
    place = server.state_dir / "stores/gone"
    assert "/manifest" in names_of(place)
    while_stopped(server, "UPDATE services SET expires_at = 1, retention_due_at = 0 WHERE deleted_at IS NOT NULL")
    api = server.api()

    def is_gone():
        return gone.id not in [service["id"] for service in api.get("/managed-services?includeDeleted=true")]
    wait_for("the record is gone", is_gone, 60)
    assert "instances/" not in names_of(place)
    assert "service.expired" in [event["eventName"] for event in api.get(f"/api/events?serviceId={gone.id}")]
    with pytest.raises(ApiError):
        api.post(f"/api/managed-services/{gone.id}/undelete")

    # Its packs go in two steps, each once a day, and with the last one what Backstay knew of the place.
    def destinations():
        return [destination["url"] for destination in api.get("/api/destinations")]
    assert len(destinations()) == 2
    for _ in range(3):
        while_stopped(server, "UPDATE destinations SET prune_due_at = 0")
        api = server.api()
        wait_for("the repositories were looked through", lambda: len(
            [it for it in api.get("/api/operations?limit=100") if it["kind"] == "prune_repository" and it["state"] == "queued"]) == 0
            and any(it["kind"] == "prune_repository" for it in api.get("/api/operations?limit=100")), 60)
        wait_for("none runs", lambda: not any(
            it["state"] in ("queued", "running") for it in api.get("/api/operations?limit=100") if it["kind"] == "prune_repository"), 60)
        if len(destinations()) == 1:
            break
    assert "packs/" not in names_of(place)
    assert destinations() == [f"file://{server.state_dir}/stores/stays"]
    assert stays.id in [service["id"] for service in api.get("/managed-services")]
