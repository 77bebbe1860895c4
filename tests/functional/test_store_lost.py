"""A store that is empty, gone or another one when the server starts is never taken for the repository that was there."""
import json
from pathlib import Path
from typing import Callable

import pytest
from conftest import Deployed, deploy

from support import bodies
from support.api import ApiError
from support.load import Writer
from support.waiting import wait_for


def window_of(deployed: Deployed) -> dict:
    return deployed.api.get(f"/api/managed-services/{deployed.id}/recovery-window")


def wait_for_risk(deployed: Deployed, word: str) -> dict:
    """Until it is shown that the store is away, for the reason that has the word in it."""
    def shown():
        risk = window_of(deployed).get("atRisk", {})
        return risk if not risk.get("storeReachable", True) and word in risk.get("lastError", "") else None
    return wait_for("what is at risk is shown", shown, 90)


def files_of(directory: Path) -> dict:
    return {str(path.relative_to(directory)): path.stat().st_mtime_ns for path in directory.rglob("*") if path.is_file()}


def with_backups(server, place: str) -> Deployed:
    api = server.api()
    store = bodies.directory_store(server.state_dir, place)
    deployed = deploy(api, bodies.service(api.get("/teams")[0]["id"], "patient", bodies.new_password(), store))
    api.wait_for_backup(deployed.id)
    return deployed


def stay_away(place: Path) -> None:
    """The disk is not mounted, and its mount point is not there."""
    assert not place.exists()


def be_empty(place: Path) -> None:
    """The disk is not mounted: an empty directory is there instead."""
    place.mkdir(mode=0o700)


@pytest.mark.parametrize("instead", [pytest.param(stay_away, marks=pytest.mark.nightly), be_empty])
def test_a_directory_that_is_not_there_at_the_start(own_server, instead: Callable[[Path], None]):
    deployed = with_backups(own_server, "disk")
    place, away = own_server.state_dir / "stores/disk", own_server.state_dir / "stores/disk.away"
    before = window_of(deployed)
    repository = json.loads((place / "backstay.json").read_text())["repository"]
    with Writer(deployed.database()) as writer:
        assert own_server.stop() == 0
        place.rename(away)
        instead(place)
        kept = files_of(away)
        api = deployed.api = own_server.start().api()

        risk = wait_for_risk(deployed, repository)
        assert "mount" in risk["lastError"], "it says what to do"
        writer.wait_for_more(300)
        wait_for("what is kept back grows", lambda: window_of(deployed)["atRisk"]["bytes"] > risk["bytes"] > 0, 60)
        wait_for("an event says what is seen", lambda: repository in api.events_text(deployed.id), 60)
        assert "store.unreachable" in api.events_text(deployed.id)
        shown = window_of(deployed)
        assert shown["earliest"] == before["earliest"] and shown["latest"] >= before["latest"], "what was known before"
        assert f'wal_at_risk_bytes{{service="{deployed.id}"}} 0' not in str(api.get("/metrics"))
        with pytest.raises(ApiError):
            deploy(api, bodies.service(deployed.body["teamId"], "too-soon", bodies.new_password()) |
                   {"recoverFrom": bodies.recover(deployed.store, msId=deployed.id)})

        writer.wait_for_more(200)
        promised = len(writer.acknowledged)
        meanwhile = deployed.now()
        writer.wait_for_more(50)
        assert not place.exists() or not any(place.iterdir()), "nothing was made in its place"
        assert files_of(away) == kept

        if place.exists():
            place.rmdir()
        away.rename(place)
        moment = deployed.now()
        wait_for("archiving catches up", lambda: window_of(deployed)["latest"] > moment, 120)
    assert not writer.refused, "the database never stopped"
    assert json.loads((place / "backstay.json").read_text())["repository"] == repository
    wait_for("an event says so", lambda: "store.reachable" in api.events_text(deployed.id), 60)
    changed = [name for name, time in kept.items() if files_of(place).get(name, time) != time and not name.endswith("window-end")]
    assert not changed, "nothing that was stored is overwritten"

    recovered = deploy(api, bodies.service(deployed.body["teamId"], "in-the-outage", bodies.new_password()) |
                       {"recoverFrom": bodies.recover(deployed.store, msId=deployed.id, time=meanwhile)})
    rows = int(recovered.database().sql("SELECT count(*) FROM promises"))
    assert rows >= promised
    assert recovered.database().fingerprint("promises") == fingerprint_of_first(deployed, rows)
    latest = deploy(api, bodies.service(deployed.body["teamId"], "all-of-it", bodies.new_password()) |
                    {"recoverFrom": bodies.recover(deployed.store, msId=deployed.id, time=deployed.now())})
    writer.check(latest.database())
    assert latest.database().dump() == deployed.database().dump()


def fingerprint_of_first(deployed: Deployed, rows: int) -> tuple:
    """Of the writer's table as it was when it had so many rows."""
    deployed.database().sql(f"CREATE TABLE first_rows AS SELECT * FROM promises ORDER BY id LIMIT {rows}")
    try:
        return deployed.database().fingerprint("first_rows")
    finally:
        deployed.database().sql("DROP TABLE first_rows")


def test_another_repository_is_not_taken_for_the_one_that_was_there(own_server):
    deployed = with_backups(own_server, "disk")
    other = deploy(deployed.api, bodies.service(deployed.body["teamId"], "other", bodies.new_password(),
                                                bodies.directory_store(own_server.state_dir, "other")))
    deployed.api.wait_for_backup(other.id)
    assert own_server.stop() == 0
    stores = own_server.state_dir / "stores"
    (stores / "disk").rename(stores / "disk.away")
    (stores / "other").rename(stores / "disk")
    deployed.api = own_server.start().api()
    stranger = json.loads((stores / "disk/backstay.json").read_text())["repository"]
    wait_for_risk(deployed, stranger)
    assert deployed.id not in str(files_of(stores / "disk"))
    instance = window_of(deployed)["windows"][0]["instanceId"]
    assert not (stores / "disk/instances" / instance).exists()


def test_a_bucket_that_was_emptied(own_server, rgw):
    api = own_server.api()
    bucket = rgw.make_bucket("emptied")
    store = bodies.s3_store(rgw, bucket, "pg/")
    deployed = deploy(api, bodies.service(api.get("/teams")[0]["id"], "patient", bodies.new_password(), store))
    api.wait_for_backup(deployed.id)
    before = window_of(deployed)
    objects = rgw.take_all(bucket)
    assert any(key.endswith("backstay.json") for key in objects)
    with Writer(deployed.database()) as writer:
        wait_for_risk(deployed, "not in")  # it is seen while the server runs
        assert own_server.stop() == 0
        deployed.api = api = own_server.start().api()
        wait_for_risk(deployed, "not in")  # and when it starts
        assert window_of(deployed)["earliest"] == before["earliest"]
        writer.wait_for_more(200)
        assert not [key for key in rgw.keys(bucket) if key.endswith("backstay.json")], "no other repository was made"
        rgw.put_all(bucket, objects)
        moment = deployed.now()
        wait_for("archiving catches up", lambda: window_of(deployed)["latest"] > moment, 120)
    recovered = deploy(api, bodies.service(deployed.body["teamId"], "all-of-it", bodies.new_password()) |
                       {"recoverFrom": bodies.recover(deployed.store, msId=deployed.id, time=deployed.now())})
    writer.check(recovered.database())
