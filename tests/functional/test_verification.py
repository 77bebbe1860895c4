"""Verified backups: restored to a place of their own, looked at and thrown away, on demand and by themselves."""
import subprocess

import pytest
from conftest import deploy

from support import bodies
from support.api import ApiError
from support.server import processes_below
from support.waiting import wait_for
from test_crashes import kill_in, open_operation


def nothing_left(server) -> bool:
    """No file and no process of a copy; the directory that the server holds for them may stay."""
    place = server.state_dir / "verification"
    return not list(place.glob("*/copies/*")) and not processes_below(place)


def events_of(api, service_id: str, name: str) -> list:
    return [event for event in api.get(f"/api/events?serviceId={service_id}") if event["eventName"] == name]


def test_a_backup_is_verified_on_demand(server, program, api, team):
    store = bodies.directory_store(server.state_dir, "verified")
    deployed = deploy(api, bodies.service(team, "verified", bodies.new_password(), store))
    deployed.database().sql("CREATE TABLE kept (id int PRIMARY KEY, text text);"
                            "INSERT INTO kept SELECT g, md5(g::text) FROM generate_series(1, 20000) g; ANALYZE kept")
    backup = deployed.backup()["id"]
    assert api.get(f"/api/backups/{backup}").keys().isdisjoint({"verifiedAt", "verification"})
    effects = api.post(f"/api/backups/{backup}/verify?dryRun=true")["effects"]
    assert "restored to a place of its own" in effects[0]

    operation = api.post(f"/api/backups/{backup}/verify")
    assert operation["kind"] == "verify_backup"
    assert api.wait_for_operation(operation["id"])["state"] == "succeeded"
    shown = api.get(f"/api/backups/{backup}")
    seen = shown["verification"]
    assert shown["verifiedAt"] == seen["at"] > shown["confirmedAt"] and seen["outcome"] == "verified"
    assert 0 < seen["timeToFirstQuerySeconds"] <= seen["recoveryTimeSeconds"]
    checks = seen["checks"]
    assert checks["databases"] >= 4 and checks["indexes"] > 400 and checks["pages"] > 1000 and not checks["problems"]
    assert abs(checks["rowsEstimated"] - 20000) < 1000
    assert [len(events_of(api, deployed.id, f"backup.{what}")) for what in ("verification_started", "verified")] == [1, 1]
    assert nothing_left(server)
    assert deployed.database().sql("SELECT count(*) FROM kept") == "20000"

    window = api.get(f"/api/managed-services/{deployed.id}/recovery-window")
    assert window["lastVerified"] == {"backupId": backup, "at": shown["verifiedAt"],
                                      **{key: seen[key] for key in ("timeToFirstQuerySeconds", "recoveryTimeSeconds")}}
    again = subprocess.run([str(program), "backups", "verify", backup, "--wait", "--state-dir", str(server.state_dir)],
                           capture_output=True, text=True, timeout=300)
    assert again.returncode == 0 and "recoveryTimeSeconds" in again.stdout, again.stdout + again.stderr
    # A gauge is told at the next look at its service.
    gauge = f'backstay_control_verified_recovery_seconds{{service="{deployed.id}"}}'
    wait_for("the recovery's time as a metric", lambda: gauge in api.raw("GET", "/metrics").body, 30)


def test_a_dump_is_verified_by_what_it_becomes(server, api, team):
    store = bodies.directory_store(server.state_dir, "dumped")
    deployed = deploy(api, bodies.service(team, "dumped", bodies.new_password(), store))
    database = deployed.database()
    database.sql("CREATE TABLE kept (id int PRIMARY KEY, text text, at timestamptz DEFAULT now());"
                 "INSERT INTO kept (id, text) SELECT g, md5(g::text) FROM generate_series(1, 2000) g; CREATE VIEW last AS SELECT max(id) FROM kept;"
                 "SELECT lo_from_bytea(4711, 'a large object')")
    dump = api.post(f"/managed-services/{deployed.id}/backups", {"mechanism": "logical"})["id"]
    with pytest.raises(ApiError) as refused:
        api.post(f"/api/backups/{dump}/verify")
    assert refused.value.answer.status == 409, "it is not confirmed yet"
    api.wait_for_backup(deployed.id, dump)
    assert api.wait_for_operation(api.post(f"/api/backups/{dump}/verify")["id"])["state"] == "succeeded"
    seen = api.get(f"/api/backups/{dump}")["verification"]
    assert seen["outcome"] == "verified" and 0 < seen["timeToFirstQuerySeconds"] <= seen["recoveryTimeSeconds"]
    checks = seen["checks"]
    assert checks["tables"] == 1 and checks["rowsExpected"] == checks["rowsEstimated"] == 2000 and not checks["problems"]
    window = api.get(f"/api/managed-services/{deployed.id}/recovery-window")
    assert window.get("lastVerified", {}).get("backupId") != dump, "no recovery to a time begins with it"
    assert nothing_left(server)


def test_damage_that_every_copy_has_is_found_and_named(server, api, team):
    store = bodies.directory_store(server.state_dir, "damaged")
    deployed = deploy(api, bodies.service(team, "damaged", bodies.new_password(), store))
    good = api.wait_for_backup(deployed.id)["id"]
    database = deployed.database()
    database.sql("CREATE TABLE hurt AS SELECT g AS id, md5(g::text) AS text FROM generate_series(1, 5000) g")
    file = database.sql("SELECT pg_relation_filepath('hurt')")
    api.patch(f"/managed-services/{deployed.id}", {"pause": True})
    api.wait_for_state(deployed.id, "paused")
    [place] = [path for path in (server.state_dir / "instances").glob(f"*/data/{file}") if api.get(
        f"/api/backups/{good}")["instanceId"] in str(path)]
    with open(place, "r+b") as relation:
        relation.seek(2 * 8192 + 4000)
        relation.write(b"damage")
    api.patch(f"/managed-services/{deployed.id}", {"pause": False})
    api.wait_for_state(deployed.id, "synchronized")
    bad = deployed.backup()["id"]

    operation = api.wait_for_operation(api.post(f"/api/backups/{bad}/verify")["id"])
    assert operation["state"] == "failed" and operation["error"]["code"] == "verification_failed"
    shown = api.get(f"/api/backups/{bad}")
    assert shown["verification"]["outcome"] == "failed" and "verifiedAt" not in shown
    assert "public.hurt" in shown["verification"]["problem"] and "block 2" in shown["verification"]["problem"]
    [event] = events_of(api, deployed.id, "backup.verification_failed")
    assert event["severityNumber"] == 17 and "public.hurt" in event["body"] and "take another backup" in event["body"]
    assert nothing_left(server)
    with pytest.raises(ApiError) as refused:
        api.delete(f"/api/backups/{good}")
    assert "last good" in refused.value.answer.body["detail"] or "window" in refused.value.answer.body["detail"]


def test_a_server_that_is_killed_goes_on_and_leaves_nothing(new_server):
    server = new_server("verifying", environment={"BACKSTAY_VERIFICATION_EVERY_HOURS": "24"}).start()
    api = server.api()
    store = bodies.directory_store(server.state_dir, "policy")
    deployed = deploy(api, bodies.service(api.get("/teams")[0]["id"], "policy", bodies.new_password(), store))
    backup = api.wait_for_backup(deployed.id)["id"]
    operation = open_operation(api, deployed.id, "verify_backup")
    kill_in(server, operation, "check")
    assert processes_below(server.state_dir / "verification"), "the copy's server outlives us"
    api = deployed.api = server.start().api()
    ended = api.wait_for_operation(operation, 240)
    assert ended["state"] == "succeeded" and ended["attempts"] > 1
    assert api.get(f"/api/backups/{backup}")["verification"]["outcome"] == "verified"
    wait_for("nothing is left of either copy", lambda: nothing_left(server), 30)
    assert deployed.database().sql("SELECT 1") == "1"
    server.destroy()
