"""Backups that are sent to another destination than the service's first: each stands alone."""
import json
import os
import re
import shutil
import subprocess

import pytest
from conftest import deploy

from support import bodies
from support.api import Api
from support.database import Database
from support.rgw import free_ports
from support.server import make_state_directory, processes_below
from support.waiting import wait_for


def enter(api, team: int, name: str, store: dict, **more) -> dict:
    return api.post("/api/destinations", {"teamId": team, "name": name, **store, **more})


def take(api, service_id: str, **wanted) -> dict:
    entry = api.post(f"/managed-services/{service_id}/backups", wanted)
    api.wait_for_backup(service_id, entry["id"])
    return api.get(f"/api/backups/{entry['id']}")


@pytest.fixture
def s3_place(api, team, rgw):
    return enter(api, team, "off site", bodies.s3_store(rgw, rgw.make_bucket("elsewhere"), "pg"))


def recovered(api, team, backup: dict, name: str):
    return deploy(api, bodies.service(team, name, bodies.new_password(), recoverFrom={"id": backup["id"]}))


def test_it_is_recovered_when_the_first_destination_is_gone(new_server, program, rgw, tmp_path):
    server = new_server("two-places").start()
    api = server.api()
    team = api.get("/teams")[0]["id"]
    first = bodies.directory_store(server.state_dir, "first")
    source = deploy(api, bodies.service(team, "two-places", bodies.new_password(), first))
    source.database().sql(bodies.WELL_FILLED)
    api.wait_for_backup(source.id)
    bucket = rgw.make_bucket("second")
    place = enter(api, team, "second", bodies.s3_store(rgw, bucket, "pg"))
    source.database().sql(bodies.CHANGED_SINCE)
    before = source.database().dump()
    backup = take(api, source.id, destinationId=place["id"], label="off site", labels={"why": "test"})
    assert backup["standsAlone"] and backup["destinationId"] == place["id"] and backup["confirmedAt"]
    assert backup["label"] == "off site" and backup["labels"] == {"why": "test"}
    source.database().sql("INSERT INTO customers VALUES (-1, 'after the backup')")

    window = api.get(f"/api/managed-services/{source.id}/recovery-window")
    (there,) = [one for one in window["windows"] if one.get("destinationId") == place["id"]]
    assert there["earliest"] <= backup["takenAt"] <= there["latest"], "a single state"
    (own,) = [one for one in window["windows"] if one.get("destinationId") != place["id"]]
    wait_for("the first destination has what came later",
             lambda: api.get(f"/api/managed-services/{source.id}/recovery-window")["latest"] > backup["takenAt"], 60)
    assert own["earliest"] < there["earliest"]

    # The first destination is lost, with all that is in it, at once.
    (server.state_dir / "stores" / "first").rename(server.home / "lost")
    copy = recovered(api, team, backup, "from-elsewhere")
    assert copy.database().dump() == before
    kit = api.post(f"/api/teams/{team}/recovery-kit")["text"]
    server.stop()
    server.destroy()

    # And then everything else, but for that destination and the key.
    restore_offline(program, rgw, f"s3://{bucket}/pg", re.search(r"bsk1-[A-Za-z0-9-]+", kit)[0], backup, source, before, tmp_path)


def restore_offline(program, rgw, store, key, backup, source, before, tmp_path):
    key_file = tmp_path / "key"
    key_file.write_text(key + "\n")
    key_file.chmod(0o600)

    def repository(*arguments):
        done = subprocess.run([str(program), "repository", *map(str, arguments), "--store", store, "--endpoint-url", rgw.url, "--key-file",
                               str(key_file), "-o", "json"], capture_output=True, text=True, timeout=300,
                              env={**os.environ, "AWS_ACCESS_KEY_ID": rgw.access_key, "AWS_SECRET_ACCESS_KEY": rgw.secret_key})
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)
    (instance,) = repository("list")
    assert [one["id"] for one in instance["backups"]] == [backup["id"]]
    assert repository("verify")["ok"]
    home = make_state_directory("elsewhere-offline")
    try:
        repository("restore", "--instance", source.body["name"], "--backup", backup["id"], "--directory", home / "instance", "--recover",
                   "--start", "--port", free_ports(1)[0])
        (pid_file,) = (home / "instance").rglob("postmaster.pid")
        port = int(pid_file.read_text().splitlines()[3])
        database = Database("127.0.0.1", port, "app", "app", source.password, sslmode="prefer")
        assert database.dump() == before
    finally:
        for pid in processes_below(home):
            os.kill(pid, 9)
        shutil.rmtree(home, ignore_errors=True)


def test_a_service_without_backups_is_backed_up_elsewhere(api, team, s3_place):
    source = deploy(api, bodies.service(team, "no-backups", bodies.new_password()))
    source.database().sql(bodies.WELL_FILLED)
    refused = api.raw("POST", f"/managed-services/{source.id}/backups")
    assert refused.body["code"] == "conflict", "no destination is named, and there is no default"
    backup = take(api, source.id, destinationId=s3_place["id"])
    second = take(api, source.id, destinationId=s3_place["id"], mechanism="logical")
    before = source.database().dump()
    windows = api.get(f"/api/managed-services/{source.id}/recovery-window")["windows"]
    assert [one["destinationId"] for one in windows] == [s3_place["id"]]
    for number, one in enumerate([backup, second]):
        assert one["standsAlone"] and one["destinationId"] == s3_place["id"]
        assert recovered(api, team, one, f"no-backups-{number}").database().dump() == before
    refused = api.raw("DELETE", f"/api/destinations/{s3_place['id']}")
    assert refused.status == 409 and backup["id"] in refused.body["detail"], refused


def test_a_time_between_two_of_them_is_out_of_reach(api, team, s3_place):
    source = deploy(api, bodies.service(team, "two-states", bodies.new_password()))
    first = take(api, source.id, destinationId=s3_place["id"])
    source.database().sql("CREATE TABLE between (i int)")
    moment = source.now()
    source.database().sql("CREATE TABLE later (i int)")
    second = take(api, source.id, destinationId=s3_place["id"])
    window = api.get(f"/api/managed-services/{source.id}/recovery-window")
    assert window["earliest"] <= first["takenAt"] and second["takenAt"] <= window["latest"]
    assert any(gap["from"] < moment < gap["to"] for gap in window["gaps"]), window
    refused = api.raw("POST", "/managed-services", bodies.service(
        team, "never-made", bodies.new_password(), recoverFrom={"msId": source.id, "time": moment}))
    assert refused.status == 400 and refused.body["code"] == "recovery_out_of_reach", refused
    assert recovered(api, team, first, "two-states-first").database().tables() == []
    assert recovered(api, team, second, "two-states-second").database().tables() == ["between", "later"]


def test_what_is_no_destination_of_the_team_is_refused_by_its_field(api, team, shop):
    for bad in ("00000000-0000-4000-8000-000000000000", "no uuid"):
        answer = api.raw("POST", f"/managed-services/{shop.id}/backups", {"destinationId": bad})
        assert answer.status == 400 and answer.body["errors"][0]["pointer"] == "/destinationId", answer
    answer = api.raw("POST", f"/managed-services/{shop.id}/backups", {"expiresAt": "2001-01-01T00:00:00Z", "label": "x" * 201})
    assert answer.status == 400 and {error["pointer"] for error in answer.body["errors"]} <= {"/expiresAt", "/label"}, answer


def test_what_names_no_place_goes_to_the_operators_default(new_server, rgw):
    """Whichever words its client speaks: a service of each dialect that makes services, and one whose backups are off."""
    api = new_server("default-place").start().api()
    bucket = rgw.make_bucket("default-place")
    enter(api, 0, "everybody's", bodies.s3_store(rgw, bucket, "all"), isDefault=True)
    team = api.post("/api/teams", {"name": "Customer"})["id"]
    client = Api(api.url, api.post("/api/tokens", {"name": "client", "scopes": ["write"], "teamIds": [team]})["token"])
    quiet = deploy(api, bodies.service(team, "quiet", bodies.new_password(), labels={
        "guidewire.project": "test", "guidewire.stage": "dev", "guidewire.planet": "quiet"}))
    client.post("/v1/databases", {"name": "cloud", "tier": "micro", "region": "nbg1"})
    client.raw("POST", "/api/v1/databases", {"name": "plane", "type": "postgres"})
    named = {service["name"]: service["id"] for service in api.get(f"/managed-services?team={team}")}
    for name in ("cloud", "plane"):
        api.wait_for_backup(named[name])
    made = client.post("/api/v1/tenants/customer/starsystems/test/planets/quiet/backups", {"mechanism": "physical"})
    of_planet = next(b["id"] for b in api.backups(quiet.id) if b["number"] == made["id"])
    api.wait_for_backup(quiet.id, of_planet)
    places = {place["id"]: place["url"] for place in api.get(f"/api/destinations?team={team}")}
    for name, service_id in named.items():
        (backup,) = api.backups(service_id)
        assert places[backup["destinationId"]] == f"s3://{bucket}/all/team-{team}", name
        assert backup["standsAlone"] == (name == "quiet")
