"""Asking what a recovery takes, and what is refused before anything begins."""
import json
import os
from pathlib import Path

import pytest
from conftest import Deployed, deploy

from support import bodies
from support.api import Api
from support.waiting import wait_for


def request(source, name: str, **more) -> dict:
    body = {key: value for key, value in source.body.items() if key not in ("backups", "recoverFrom")}
    return body | {"name": name} | more


def refused(api, body: dict) -> dict:
    """The refusal, which the dry run and the real thing share, and which changes nothing."""
    before = sorted(service["id"] for service in api.get("/managed-services?includeDeleted=true"))
    answers = [api.raw("POST", f"/api/recoveries?dryRun={dry}", body) for dry in ("true", "false")]
    of_contract = api.raw("POST", "/managed-services", body)
    assert answers[0].status == answers[1].status >= 400, answers
    assert of_contract.status == 400, of_contract
    bodies_of = [{key: answer.body.get(key) for key in ("code", "detail", "errors")} for answer in (*answers, of_contract)]
    assert bodies_of[0] == bodies_of[1] == bodies_of[2]
    assert sorted(service["id"] for service in api.get("/managed-services?includeDeleted=true")) == before
    return answers[0].body


def pointers(refusal: dict) -> list:
    return [error["pointer"] for error in refusal.get("errors", [])]


def test_a_dry_run_tells_what_would_be_done_and_does_nothing(shop):
    api = shop.api
    moment = shop.now()
    body = request(shop, "shop-foreseen", recoverFrom=bodies.recover(shop.store, msId=shop.id, time=moment))
    services = len(api.get("/managed-services"))
    recoveries = [it["id"] for it in api.get("/api/operations?limit=1000") if it["kind"] == "recover_service"]
    told = api.post("/api/recoveries?dryRun=true", body)
    assert told["dryRun"] and "service" not in told and "operationId" not in told
    forecast = told["forecast"]
    confirmed = [backup["id"] for backup in api.backups(shop.id) if backup.get("confirmedAt")]
    assert forecast["backup"]["id"] in confirmed
    assert forecast["restoreBytes"] > 1_000_000
    assert forecast["wal"]["segments"] >= 1 and forecast["wal"]["bytes"] == forecast["wal"]["segments"] * 16 * 2**20
    assert forecast["estimate"]["seconds"] >= 1 and "MiB/s" in forecast["estimate"]["basis"]
    assert forecast["time"].rstrip("Z0") == moment.rstrip("Z0")  # zeros at a fraction's end may be left out
    assert [warning for warning in forecast["warnings"] if "has no backups" in warning]
    assert len(api.get("/managed-services")) == services
    assert [it["id"] for it in api.get("/api/operations?limit=1000") if it["kind"] == "recover_service"] == recoveries

    begun = api.post("/api/recoveries", body)
    assert not begun["dryRun"] and begun["forecast"]["backup"] == forecast["backup"]
    assert api.wait_for_operation(begun["operationId"])["state"] == "succeeded"
    recovered = Deployed(api, body, api.wait_for_state(begun["service"]["id"], "synchronized"))
    assert recovered.database().fingerprint("customers") == shop.database().fingerprint("customers")


def test_a_repeated_recovery_is_one_recovery(shop):
    api = shop.api
    body = request(shop, "shop-once", recoverFrom=bodies.recover(shop.store, msId=shop.id))
    answers = [api.raw("POST", "/api/recoveries", body, {"Idempotency-Key": "once"}) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 200]
    assert answers[0].body["service"]["id"] == answers[1].body["service"]["id"]
    api.wait_for_state(answers[0].body["service"]["id"], "synchronized")


def test_without_recover_from_it_is_no_recovery(shop):
    answer = shop.api.raw("POST", "/api/recoveries?dryRun=true", request(shop, "nothing-to-recover"))
    assert answer.status == 400 and pointers(answer.body) == ["/recoverFrom"]


def test_sources_that_are_not_there_are_refused(shop):
    unknown = "11111111-2222-4333-8444-555555555555"
    by_id = refused(shop.api, request(shop, "no-backup", recoverFrom=bodies.recover(shop.store, id=unknown)))
    assert pointers(by_id) == ["/recoverFrom/id"] and unknown in by_id["detail"]
    by_time = refused(shop.api, request(shop, "no-service", recoverFrom=bodies.recover(shop.store, msId=unknown, time=shop.now())))
    assert pointers(by_time) == ["/recoverFrom/msId"]


def test_a_source_in_another_team_is_refused_as_if_it_were_not_there(server, shop):
    api = shop.api
    other = api.post("/api/teams", {"name": "recovers nothing of others"})["id"]
    token = api.post("/api/tokens", {"name": "of the other team", "scopes": ["read", "write"], "teamIds": [other]})["token"]
    for caller in (api, Api(server.url, token)):
        for target in ({"msId": shop.id, "time": shop.now()}, {"id": api.backups(shop.id)[0]["id"]}):
            body = request(shop, "of-others", teamId=other, recoverFrom=bodies.recover(shop.store, **target))
            refusal = refused(caller, body)
            assert refusal["detail"].startswith("there is no "), refusal


def test_a_plan_smaller_than_the_data_is_refused_before_work(server, api, team):
    large = deploy(api, bodies.service(team, "large", bodies.new_password(), bodies.directory_store(server.state_dir, "large"),
                                       provider={"name": "postgres", "version": "v1"}, secrets={"userPassword": bodies.new_password()},
                                       plan={"id": 1, "parameters": {"storage": 2048}}))
    # Does not compress, for the store, and is never written to a page that is, for the test.
    large.database().sql("CREATE TABLE filling (x bytea); ALTER TABLE filling ALTER x SET STORAGE EXTERNAL;"
                         "INSERT INTO filling SELECT decode(repeat(md5(i::text), 62500), 'hex') FROM generate_series(1, 560) i")
    large.backup()
    small = request(large, "too-small", plan={"id": 1, "parameters": {"storage": 512}},
                    recoverFrom=bodies.recover(large.store, msId=large.id))
    refusal = refused(api, small)
    assert refusal["code"] == "plan_too_small" and pointers(refusal) == ["/plan/parameters/storage"]
    api.delete(f"/managed-services/{large.id}?finalBackup=skip")


def test_another_major_version_is_refused_with_the_reason(new_server):
    """The other major is a name only: nothing of it is ever started."""
    home = Path("/usr/lib/postgresql")
    major = max(int(path.name) for path in home.iterdir() if path.name.isdigit())
    server = new_server("majors")
    roots = server.home / "installations"
    (roots / str(major)).parent.mkdir(parents=True)
    (roots / str(major)).symlink_to(home / str(major))
    programs = roots / str(major + 1) / "bin"
    programs.mkdir(parents=True)
    for program in (home / str(major) / "bin").iterdir():
        (programs / program.name).symlink_to(program)
    (programs / "postgres").unlink()
    (programs / "postgres").write_text(f"#!/bin/sh\necho 'postgres (PostgreSQL) {major + 1}.0'\n")
    (programs / "postgres").chmod(0o755)
    server.environment["BACKSTAY_POSTGRES_INSTALLATION_ROOTS"] = str(roots)
    api = server.start().api()
    team = api.get("/teams")[0]["id"]
    older = deploy(api, bodies.service(team, "older", bodies.new_password(), bodies.directory_store(server.state_dir, "older"),
                                       provider={"name": "postgresql", "version": str(major)}))
    api.wait_for_backup(older.id)
    newer = request(older, "newer", provider={"name": "postgresql", "version": str(major + 1)},
                    recoverFrom=bodies.recover(older.store, msId=older.id))
    refusal = refused(api, newer)
    assert pointers(refusal) == ["/provider/version"]
    assert f"PostgreSQL {major}" in refusal["detail"] and str(major + 1) in refusal["detail"]


def test_new_users_database_name_passwords_and_backups_in_one_recovery(server, shop):
    api = shop.api
    store = bodies.directory_store(server.state_dir, "shop-elsewhere")
    body = request(shop, "shop-with-all-new", config={"userName": "carol", "databaseName": "ledger"},
                   secrets={"password": bodies.new_password()}, backups=bodies.backups(store),
                   recoverFrom=bodies.recover(shop.store, msId=shop.id, time=shop.now()))
    assert not api.post("/api/recoveries?dryRun=true", body)["forecast"]["warnings"]
    recovered = deploy(api, body)
    database = recovered.database()
    assert (database.user, database.name) == ("carol", "ledger")
    assert database.sql("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'") == "carol"
    # Its own backups are of the new users, and can be recovered in their turn.
    api.wait_for_backup(recovered.id)
    again = deploy(api, request(recovered, "shop-of-carol-again", recoverFrom=bodies.recover(store, msId=recovered.id)))
    assert again.database().fingerprints() == database.fingerprints()
    for service in (recovered, again):
        api.delete(f"/managed-services/{service.id}?finalBackup=skip")


def test_a_source_that_was_deleted_without_backups_keeps_its_owners(server, api, team):
    """Its secrets are gone with it, the name of its role among them."""
    body = bodies.service(team, "forgotten", bodies.new_password(), bodies.directory_store(server.state_dir, "forgotten"))
    body["secrets"]["username"] = "admin"
    source = deploy(api, body)
    source.database().sql("CREATE TABLE orders AS SELECT i FROM generate_series(1, 100) i")
    source.backup()
    api.patch(f"/managed-services/{source.id}", {"backups": {"enabled": False}})
    api.wait_for_state(source.id, "synchronized")
    gone = api.delete(f"/managed-services/{source.id}")
    assert api.wait_for_operation(gone["operationId"])["state"] == "succeeded"
    assert api.service(source.id)["status"]["state"] == "deleted"

    secrets = {"username": "bob", "password": bodies.new_password()}
    recovered = deploy(api, request(source, "remembered", secrets=secrets, recoverFrom=bodies.recover(source.store, msId=source.id)))
    database = recovered.database()
    assert database.user == "bob"
    assert database.sql("SELECT count(*) FROM orders") == "100"
    assert database.sql("SELECT tableowner FROM pg_tables WHERE tablename = 'orders'") == "bob"
    assert database.sql("SELECT count(*) FROM pg_roles WHERE rolname = 'admin'") == "0"


def test_times_before_a_deletion_are_reached_after_the_service_came_back(server, api, team):
    body = bodies.service(team, "returned", bodies.new_password(), bodies.directory_store(server.state_dir, "returned"))
    service = deploy(api, body)
    api.wait_for_backup(service.id)
    service.database().sql("CREATE TABLE lives (n int); INSERT INTO lives VALUES (1)")
    first_life = service.now()
    service.database().sql("INSERT INTO lives VALUES (2)")
    gone = api.delete(f"/managed-services/{service.id}")
    assert api.wait_for_operation(gone["operationId"])["state"] == "succeeded"
    assert api.get(f"/api/managed-services/{service.id}/recovery-window")["latest"] > first_life
    back = api.post(f"/api/managed-services/{service.id}/undelete")
    assert api.wait_for_operation(back["operationId"])["state"] == "succeeded"
    service.database().sql("INSERT INTO lives VALUES (3)")
    service.backup()
    second_life = service.now()
    wait_for("the window reaches the present", lambda: api.get(
        f"/api/managed-services/{service.id}/recovery-window")["latest"] >= second_life, 30)

    window = api.get(f"/api/managed-services/{service.id}/recovery-window")
    assert window["earliest"] < first_life < second_life <= window["latest"]
    assert len(window["windows"]) == 2 and len({it["instanceId"] for it in window["windows"]}) == 2
    between = window["gaps"][-1]
    assert first_life < between["from"] < between["to"] < second_life, window
    for store in (bodies.recover(service.store, msId=service.id), {"msId": service.id}):
        wanted = request(service, "lives-between", recoverFrom=store | {"time": between["from"][:19] + ".999999Z"})
        assert refused(api, wanted)["code"] == "recovery_out_of_reach"
    for name, moment, lives in (("first-life", first_life, "1"), ("second-life", second_life, "1,2,3")):
        wanted = request(service, name, recoverFrom={"msId": service.id, "time": moment})
        recovered = deploy(api, wanted)
        assert recovered.database().sql("SELECT string_agg(n::text, ',' ORDER BY n) FROM lives") == lives


@pytest.mark.skipif(os.geteuid() != 0, reason="a true superuser is only given under an own uid")
def test_a_tablespace_closes_the_window_until_a_backup_has_it(server, api, team):
    body = bodies.service(team, "spacious", bodies.new_password(), bodies.directory_store(server.state_dir, "spacious"))
    body["secrets"]["superuserPassword"] = bodies.new_password()
    service = deploy(api, body)
    api.wait_for_backup(service.id)
    superuser = service.superuser()
    place = f"{Path(superuser.sql('SHOW data_directory')).parent}/tablespaces/later"
    superuser.sql(f"COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; mkdir -p {place}'; CREATE TABLESPACE later LOCATION '{place}'")

    def names() -> list:
        return [event["eventName"] for event in api.get(f"/api/events?serviceId={service.id}&limit=1000")]
    wait_for("the gap has ended", lambda: "wal.gap_ended" in names(), 60)
    assert "wal.gap" in names()
    assert [backup for backup in api.backups(service.id) if backup["origin"] == "safety" and backup.get("storedAt")]
    service.database().sql("CREATE TABLE kept (n int) TABLESPACE pg_default")
    moment = service.now()
    window = api.get(f"/api/managed-services/{service.id}/recovery-window")
    assert [gap for gap in window["gaps"] if "tablespace" in gap["reason"]], json.dumps(window)
    told = api.post("/api/recoveries?dryRun=true", request(service, "s", recoverFrom={"msId": service.id, "time": moment}))
    assert told["forecast"]["backup"]["takenAt"] >= window["gaps"][0]["from"]
