"""Backstay drives a backend of the adapter contract: the whole life of a service, and backends that fail, lie and die."""
import secrets

import pytest

from support import backend as faults
from support.backend import FakeBackend
from support.providers import definition, service
from support.waiting import wait_for

PROVIDERS = "/managed-services/providers"
BACKUPS = {"enabled": True, "intervalH": 24, "deleteRetentionDays": 7, "config": {"bucket": "b"},
           "secrets": {"key": "store-key"}}


@pytest.fixture
def backend():
    fake = FakeBackend()
    yield fake
    fake.close()
    assert fake.complaints == []


@pytest.fixture
def provider(api, backend) -> str:
    name = "r" + secrets.token_hex(6)
    api.post(PROVIDERS, definition(name, backend.url, backend.KEY))
    return name


def make(api, team: int, provider: str, config=None, **more) -> str:
    return api.post("/managed-services", service(team, "s-" + secrets.token_hex(6), provider, config, **more))["id"]


def made(api, team: int, provider: str, config=None, **more) -> str:
    created = make(api, team, provider, config, **more)
    api.wait_for_state(created, "synchronized", 60)
    return created


def event_names(api, service_id: str) -> list:
    return [event["eventName"] for event in api.service(service_id)["recentEvents"]]


def wait_for_reason(api, service_id: str, part: str, seconds: float = 60) -> dict:
    def probe():
        status = api.service(service_id)["status"]
        return status if part in status.get("reason", "") else None
    return wait_for(f"the reason '{part}'", probe, seconds)


def gone(api, service_id: str) -> bool:
    return api.raw("GET", f"/managed-services/{service_id}").status == 404


def test_the_life_of_a_service(api, team, backend, provider):
    created = made(api, team, provider, {"size": "m"})
    assert api.details(created)["hostname"] == "fake.example"
    order = backend.bodies("POST")[0]
    assert order["id"] == created and order["teamId"] == team
    assert order["plan"] == {"id": 0, "parameters": {"storage": 2048, "memory": 256}}
    assert order["config"] == {"size": "m", "flavour": "plain"}, "the backend need not know the schema's defaults"
    assert order["secrets"] == {"password": "correct horse"}

    api.patch(f"/managed-services/{created}", {"config": {"size": "l"}})
    api.wait_for_state(created, "synchronized", 60)
    change = backend.bodies("PATCH")[-1]
    assert change.keys() == {"id", "teamId", "config"}, "only what changed"
    assert change["config"]["size"] == "l"

    api.patch(f"/managed-services/{created}", {"secrets": {"password": "another horse"}})
    wait_for("the new secret", lambda: backend.services[created]["secrets"]["password"] == "another horse", 30)
    assert backend.bodies("PATCH")[-1].keys() == {"id", "teamId", "secrets"}
    api.wait_for_state(created, "synchronized", 60)

    api.patch(f"/managed-services/{created}", {"pause": True})
    api.wait_for_state(created, "paused", 60)
    assert backend.services[created]["pause"] is True
    api.patch(f"/managed-services/{created}", {"pause": False})
    api.wait_for_state(created, "synchronized", 60)

    backend.deaf_deletes = 1
    api.delete(f"/managed-services/{created}")
    wait_for("the service is gone", lambda: gone(api, created), 60)
    assert created not in backend.services
    assert api.raw("GET", f"/managed-services/{created}/details").status == 404


def test_not_ready_keeps_creating_and_an_error_is_shown(api, team, backend, provider):
    backend.ready, backend.error = False, "no node has room, said correct horse"
    created = make(api, team, provider)
    status = wait_for_reason(api, created, "no node has room")
    assert status["state"] == "creating"
    assert "correct horse" not in str(api.service(created)), "backends quote secrets"
    backend.ready, backend.error = True, None
    api.wait_for_state(created, "synchronized", 60)
    assert "reason" not in api.service(created)["status"]


def test_absence_of_ready_does_not_block(api, team, backend, provider):
    backend.ready = True
    backend.report = lambda it: {"plan": {"parameters": it["plan"]["parameters"]}, "config": it["config"], "details": {}}
    made(api, team, provider)


def test_a_service_that_is_being_made_can_be_corrected_and_deleted(api, team, backend, provider):
    backend.ready = False
    created = make(api, team, provider, {"size": "too big"})
    wait_for("the order", lambda: created in backend.services, 30)
    api.patch(f"/managed-services/{created}", {"config": {"size": "m"}})
    wait_for("the correction", lambda: backend.services[created]["config"]["size"] == "m", 60)
    api.delete(f"/managed-services/{created}")
    wait_for("the service is gone", lambda: gone(api, created), 60)
    assert not backend.services


def test_drift_is_corrected(api, team, backend, provider):
    created = made(api, team, provider, {"size": "m"})
    backend.services[created]["config"] = {"size": "xs"}
    wait_for("the correction", lambda: backend.services[created]["config"].get("size") == "m", 60)
    api.wait_for_state(created, "synchronized", 60)
    assert "service.drifted" in event_names(api, created)


def test_a_backend_that_does_not_follow_is_named_and_not_hammered(api, team, backend, provider):
    created = made(api, team, provider, {"size": "m"})
    backend.ignores_changes = True
    api.patch(f"/managed-services/{created}", {"config": {"size": "l"}})
    status = wait_for_reason(api, created, "config.size")
    assert status["state"] == "updating" and status["nextStep"]
    assert backend.count("PATCH") <= 2
    api.delete(f"/managed-services/{created}")
    wait_for("the service is gone", lambda: gone(api, created), 60)


def test_a_backend_that_refuses_fails_the_creation(api, team, backend, provider):
    backend.fault = lambda method, path: faults.status(422, {"error": "size must be small"}) if method == "POST" else None
    created = make(api, team, provider)
    status = wait_for_reason(api, created, "size must be small")
    assert "delete this service" in status["nextStep"]
    backend.fault = lambda method, path: None
    api.delete(f"/managed-services/{created}")
    wait_for("the service is gone", lambda: gone(api, created), 60)


@pytest.mark.parametrize("fault, part", [
    (faults.status(503), "503"),
    (faults.status(302, headers={"Location": "http://127.0.0.1:1/"}), "redirects"),
    (faults.raw(b"<html>it works</html>"), "not well-formed"),
    (faults.raw(b"[]"), "no JSON object"),
    (faults.raw(b'{"x":' * 100_000), "not well-formed"),
    (faults.endless, "longer than"),
    (faults.hang_up, "no answer"),
], ids=["busy", "redirect", "html", "array", "deep", "endless", "hangs-up"])
def test_a_backend_that_lies_or_dies_makes_its_service_unknown_until_it_is_back(api, team, backend, provider, fault, part):
    created = made(api, team, provider)
    backend.fault = lambda method, path: fault if method == "GET" else None
    status = api.wait_for_state(created, "unknown", 90)["status"]
    assert part in status["reason"], status
    assert status["nextStep"]
    backend.fault = lambda method, path: None
    api.wait_for_state(created, "synchronized", 120)
    names = event_names(api, created)
    assert "service.unreachable" in names and "service.reachable" in names


def test_a_report_of_wrong_types_is_no_report(api, team, backend, provider):
    first, second = made(api, team, provider), made(api, team, provider)
    honest = backend.report

    def lie(it):
        return {"plan": "small", "details": {}} if it["id"] == first else honest(it)
    backend.report = lie
    status = api.wait_for_state(first, "unknown", 90)["status"]
    assert "/plan" in status["reason"]
    assert api.service(second)["status"]["state"] == "synchronized"


def test_a_service_that_the_backend_forgot_is_lost_and_may_come_back(api, team, backend, provider):
    created = made(api, team, provider)
    kept = backend.services.pop(created)
    status = api.wait_for_state(created, "unknown", 90)["status"]
    assert "does not know" in status["reason"] and "backup" in status["nextStep"]
    assert backend.count("POST") == 1, "an empty service in the place of a lost one would hide the loss"
    backend.services[created] = kept
    api.wait_for_state(created, "synchronized", 60)


def test_a_withdrawn_provider_makes_its_services_invalid_until_it_is_back(api, team, backend, provider):
    created = made(api, team, provider)
    api.delete(f"{PROVIDERS}/{provider}/v1")
    status = api.wait_for_state(created, "invalid provider", 60)["status"]
    assert provider in status["reason"] and "publish" in status["nextStep"]
    assert api.raw("PATCH", f"/managed-services/{created}", {"config": {"size": "m"}}).status == 400
    api.post(PROVIDERS, definition(provider, backend.url, backend.KEY))
    api.wait_for_state(created, "synchronized", 60)


def test_a_service_of_a_withdrawn_provider_can_be_deleted(api, team, backend, provider):
    plain, kept = made(api, team, provider), made(api, team, provider, backups=BACKUPS)
    api.delete(f"{PROVIDERS}/{provider}/v1")
    status = api.wait_for_state(plain, "invalid provider", 60)["status"]
    assert "delete" in status["nextStep"]
    answer = api.delete(f"/managed-services/{plain}")
    assert api.wait_for_operation(answer["operationId"], 60)["state"] == "succeeded"
    assert gone(api, plain)
    told = [event["body"] for event in api.get(f"/api/events?serviceId={plain}") if event["eventName"] == "service.left_behind"]
    assert len(told) == 1 and plain in told[0] and provider in told[0], "its backend still has it, which is said"
    assert plain in backend.services
    answer = api.delete(f"/managed-services/{kept}?finalBackup=skip")
    assert api.wait_for_operation(answer["operationId"], 60)["state"] == "succeeded"
    api.post(PROVIDERS, definition(provider, backend.url, backend.KEY))


def test_a_protected_service_of_a_withdrawn_provider_can_be_deleted(api, team, backend, provider):
    created = made(api, team, provider, deletionProtection=True)
    api.delete(f"{PROVIDERS}/{provider}/v1")
    api.wait_for_state(created, "invalid provider", 60)
    refused = api.raw("DELETE", f"/managed-services/{created}")
    assert refused.status == 400 and "deletionProtection" in refused.body["hint"]
    told = api.patch(f"/managed-services/{created}?dryRun=true", {"deletionProtection": False})["effects"]
    assert told == ["the service can be deleted again"]
    assert api.patch(f"/managed-services/{created}", {"deletionProtection": False})["deletionProtection"] is False
    assert api.patch(f"/managed-services/{created}", {"name": created[:20]})["name"] == created[:20]
    answer = api.delete(f"/managed-services/{created}")
    assert api.wait_for_operation(answer["operationId"], 60)["state"] == "succeeded"
    assert gone(api, created)


def test_a_deletion_waits_no_more_for_a_backend_when_it_is_told_to(api, team, backend, provider):
    created = made(api, team, provider, backups=BACKUPS)
    deleting = api.delete(f"/managed-services/{created}")["operationId"]
    wait_for("the final backup's turn", lambda: api.get(f"/api/operations/{deleting}")["step"] == "final-backup", 60)
    assert api.delete(f"/managed-services/{created}?finalBackup=skip")["operationId"] == deleting
    assert api.wait_for_operation(deleting, 60)["state"] == "succeeded"
    assert created not in backend.services


def test_narrowing_the_scope_leaves_the_services_as_they_are(api, team, backend, provider):
    created = made(api, team, provider)
    elsewhere = api.post("/teams", {"name": "narrow-" + secrets.token_hex(4)})["id"]
    api.patch(f"{PROVIDERS}/{provider}/v1", {"scope": {"type": "team", "teamIds": [elsewhere]}})
    refused = api.raw("POST", "/managed-services", service(team, "s-" + secrets.token_hex(6), provider))
    assert refused.status == 400, "nothing new is made of it"
    api.patch(f"/managed-services/{created}", {"config": {"size": "m"}})
    wait_for("the change at the backend", lambda: backend.services[created]["config"].get("size") == "m", 60)
    api.wait_for_state(created, "synchronized", 60)
    assert api.get(f"/managed-services/{created}/details")


def test_undeleting_is_refused_with_what_to_do_instead(api, team, backend, provider):
    source = made(api, team, provider, backups=BACKUPS)
    first = wait_for("the first backup's order", lambda: list(backend.backups), 30)[0]
    backend.backups[first] = {"exists": True}
    api.wait_for_backup(source, first, 60)
    answer = api.delete(f"/managed-services/{source}?finalBackup=skip")
    assert api.wait_for_operation(answer["operationId"], 60)["state"] == "succeeded"
    refused = api.raw("POST", f"/api/managed-services/{source}/undelete")
    assert refused.status in (400, 501) and refused.body["code"] == "not_supported", refused
    assert "recoverFrom" in refused.body["hint"]
    copy = made(api, team, provider, recoverFrom={"id": first})
    assert next(body["recoverFrom"]["id"] for body in backend.bodies("POST") if body and body.get("id") == copy) == first


def test_a_wrong_key_is_said(api, team, backend):
    name = "k" + secrets.token_hex(6)
    api.post(PROVIDERS, definition(name, backend.url, "a wrong key"))
    created = make(api, team, name)
    status = wait_for_reason(api, created, "401")
    assert "secret" in status["nextStep"]


def test_backups_and_recoveries(api, team, backend, provider):
    source = made(api, team, provider, backups=BACKUPS)
    first = wait_for("the first backup's order", lambda: list(backend.backups), 30)[0]
    order = backend.bodies("PUT")[0]
    assert order == {"msId": source, "teamId": team, "config": {"bucket": "b"}, "secrets": {"key": "store-key"},
                     "retentionDays": 7}
    assert all(not entry.get("confirmedAt") for entry in api.service(source)["backups"]["entries"])
    backend.backups[first] = {"exists": True}
    api.wait_for_backup(source, first, 60)
    assert backend.count("PUT") == 1

    copy = made(api, team, provider, recoverFrom={"id": first, "config": {"bucket": "b"}, "secrets": {"key": "k2"}})
    assert backend.bodies("POST")[-1 if backend.bodies("POST")[-1].get("recoverFrom") else -2]["recoverFrom"] == {
        "id": first, "config": {"bucket": "b"}, "secrets": {"key": "k2"}}
    assert "recovery.finished" in event_names(api, copy)

    time = api.service(source)["createdAt"]
    later = made(api, team, provider, recoverFrom={"msId": source, "time": time, "config": {}, "secrets": {}})
    from_time = next(body["recoverFrom"] for body in backend.bodies("POST") if body and body.get("id") == later)
    assert from_time == {"msId": source, "time": time, "config": {"bucket": "b"}, "secrets": {"key": "store-key"}}


def test_a_backup_that_fails_tells_why(api, team, backend, provider):
    source = made(api, team, provider, backups=BACKUPS)
    first = wait_for("the first backup's order", lambda: list(backend.backups), 30)[0]
    backend.backups[first] = {"exists": False, "error": "the bucket is full"}
    failed = wait_for("the failure", lambda: next((b for b in api.backups(source) if b["state"] == "failed"), None), 60)
    assert "the bucket is full" in failed["error"]
    assert "backup.failed" in event_names(api, source)


def test_the_store_is_judged_by_the_providers_schema(api, team, backend, provider):
    body = service(team, "bad-" + provider, provider, backups={**BACKUPS, "config": {}})
    answer = api.raw("POST", "/managed-services", body)
    assert answer.status == 400
    assert answer.body["errors"][0]["pointer"] == "/backups/config/bucket"


def test_a_version_is_chosen_and_changed(api, team, backend):
    name = "v" + secrets.token_hex(6)
    versions = {number: {"gitRef": number, "ciProfile": "prod"} for number in ("1.0.0", "1.1.0")}
    api.post(PROVIDERS, definition(name, backend.url, backend.KEY, versions=versions))

    refused = api.raw("POST", "/managed-services", service(team, "n-" + name, name, version="9.0.0"))
    assert (refused.status, refused.body["code"]) == (400, "invalid_argument")
    assert refused.body["errors"] == [{"pointer": "/version", "message": "must be one of 1.0.0, 1.1.0"}]
    assert backend.count("POST") == 0

    created = made(api, team, name, version="1.0.0")
    assert backend.bodies("POST")[0]["version"] == "1.0.0" and api.service(created)["version"] == "1.0.0"

    preview = api.patch(f"/managed-services/{created}?dryRun=true", {"version": "1.1.0"})
    assert "version 1.0.0 becomes 1.1.0" in preview["effects"]
    answer = api.patch(f"/managed-services/{created}", {"version": "1.1.0"})
    assert (answer["version"], answer["status"]["state"]) == ("1.1.0", "updating")
    api.wait_for_state(created, "synchronized", 60)
    assert backend.bodies("PATCH")[-1] == {"id": created, "teamId": team, "version": "1.1.0"}
    assert api.raw("PATCH", f"/managed-services/{created}", {"version": "2.0.0"}).status == 400

    backend.services[created]["version"] = "1.0.0"
    wait_for("the drift", lambda: backend.services[created]["version"] == "1.1.0", 60)
    api.patch(f"/managed-services/{created}", {"version": "1.0.0"})
    api.wait_for_state(created, "synchronized", 60)
    assert backend.services[created]["version"] == "1.0.0"

    plain = made(api, team, name)
    assert "version" not in backend.services[plain] and "version" not in api.service(plain)


def test_nothing_is_lost_when_backstay_is_killed(own_server, backend):
    api = own_server.api()
    team = api.get("/teams")[0]["id"]
    name = "c" + secrets.token_hex(6)
    api.post(PROVIDERS, definition(name, backend.url, backend.KEY))
    backend.ready = False
    created = make(api, team, name)
    wait_for("the order", lambda: created in backend.services, 30)
    own_server.kill()
    backend.ready = True
    own_server.start()
    api = own_server.api()
    api.wait_for_state(created, "synchronized", 60)
    assert backend.count("POST") == 1
