"""The shapes that clients of the house API rely on."""
import re

import pytest
from conftest import deploy

from support import bodies

UUID = re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")
EVENT_FIELDS = {"eventName", "timestamp", "observedTimestamp", "severityNumber", "body", "resource", "attributes"}


def check_resource(service: dict) -> None:
    """Every required field with its declared type."""
    assert UUID.match(service["id"]) and TIME.match(service["createdAt"])
    assert set(service["provider"]) == {"name", "version", "schemaVersion"}
    assert isinstance(service["pause"], bool) and isinstance(service["config"], dict)
    assert isinstance(service["plan"]["id"], int)
    assert all(type(value) is int for value in service["plan"]["parameters"].values())
    assert isinstance(service["status"]["state"], str)
    backups = service["backups"]
    assert isinstance(backups["enabled"], bool) and isinstance(backups["entries"], list)
    if backups["enabled"]:
        assert 1 <= backups["intervalH"] <= 730 and 1 <= backups["deleteRetentionDays"] <= 365
        assert isinstance(backups["config"], dict)
    for entry in backups["entries"]:
        assert UUID.match(entry["id"]) and TIME.match(entry["scheduledAt"])
    for event in service["recentEvents"]:
        assert EVENT_FIELDS <= set(event) and isinstance(event["severityNumber"], int)
        assert all(isinstance(value, str) for value in event["attributes"].values())
    assert "secrets" not in service and "secrets" not in backups


def test_the_catalogue_has_both_names_of_postgresql(api):
    providers = api.get("/managed-services/providers")
    assert {("postgresql", "15"), ("postgres", "v1")} <= {(p["name"], p["version"]) for p in providers}
    for provider in (p for p in providers if p["name"] in ("postgresql", "postgres")):
        assert {"author", "category", "description", "displayName", "iconUrl", "configSchema", "detailsSchema",
                "secretsSchema", "plans", "backend", "schemaVersion"} <= set(provider)
        assert provider["capabilities"] == {"pause": True, "backups": True, "pointInTimeRecovery": True}
        assert {"configSchema", "secretsSchema"} <= set(provider["backups"])
        for plan in provider["plans"]:
            assert isinstance(plan["id"], int) and all("schema" in p for p in plan["parameters"].values())


def test_a_service_is_shown_alike_everywhere(shop):
    api = shop.api
    check_resource(shop.created)
    assert shop.created["status"]["state"] in ("creating", "synchronized")
    for path in ("/managed-services?team={}&includeDeleted=false", "/api/managed-services?teamId={}", "/managed-services"):
        listed = [s for s in api.get(path.format(shop.body["teamId"])) if s["id"] == shop.id]
        assert len(listed) == 1, path
        check_resource(listed[0])
        assert listed[0]["status"]["detailsRef"].endswith(f"/managed-services/{shop.id}/details")


def test_one_service_answers_its_details_and_itself(shop):
    details = shop.api.get(f"/managed-services/{shop.id}/details")
    assert details["ready"] is True and isinstance(details["port"], int)
    assert shop.password not in details["dsn"]
    both = shop.api.get(f"/managed-services/{shop.id}")
    assert both["hostname"] == details["hostname"] and both["id"] == shop.id
    assert both["status"]["state"] == "synchronized"


def test_entries_of_backups_tell_their_life(shop):
    entry = shop.api.post(f"/managed-services/{shop.id}/backups")
    assert UUID.match(entry["id"]) and TIME.match(entry["scheduledAt"]) and "confirmedAt" not in entry
    full = shop.api.wait_for_backup(shop.id, entry["id"])
    assert full["origin"] == "manual" and full["mechanism"] == "physical"
    shown = [e for e in shop.resource()["backups"]["entries"] if e["id"] == entry["id"]][0]
    assert shown["scheduledAt"] <= shown["initiatedAt"] <= shown["confirmedAt"]
    assert full["takenAt"] <= full["storedAt"] <= full["confirmedAt"] and "verifiedAt" not in full


def test_a_service_by_its_other_name_is_measured_in_mebibytes(shared_server, team):
    api = shared_server.api()
    body = {"teamId": team, "name": "by the other name", "provider": {"name": "postgres", "schemaVersion": "v1"},
            "plan": {"id": 0, "parameters": {"storage": 2048}}, "config": {"userName": "ada", "databaseName": "lab"},
            "secrets": {"userPassword": bodies.new_password()}, "backups": {"enabled": False}}
    service = deploy(api, body)
    assert service.database().sql("SELECT current_user || '@' || current_database()") == "ada@lab"
    api.patch(f"/managed-services/{service.id}", {"name": "renamed"})
    assert service.resource()["name"] == "renamed"

    answer = api.delete(f"/managed-services/{service.id}")
    if answer and "operationId" in answer:
        assert api.wait_for_operation(answer["operationId"])["state"] == "succeeded"
    assert service.id not in [s["id"] for s in api.get(f"/managed-services?team={team}&includeDeleted=false")]


def test_the_application_role_is_no_superuser(shop):
    row = shop.database().sql("SELECT rolsuper, rolcreaterole, rolreplication, rolbypassrls FROM pg_roles WHERE rolname = current_user")
    assert row == "f|f|f|f"
    for statement in ("COPY (SELECT 1) TO PROGRAM 'true'", "ALTER SYSTEM SET fsync = off", "SELECT pg_read_file('PG_VERSION')"):
        with pytest.raises(RuntimeError, match="permission denied|must be superuser"):
            shop.database().sql(statement)


def test_data_checksums_tls_and_scram_are_on(shop):
    database = shop.database()
    assert database.sql("SHOW data_checksums") == "on"
    assert database.sql("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == "t"
    assert database.sql("SHOW password_encryption") == "scram-sha-256"
    plain = type(database)(database.host, database.port, database.user, database.name, database.password, sslmode="disable")
    with pytest.raises(RuntimeError, match="no pg_hba.conf entry|rejects connection"):
        plain.sql("SELECT 1")


def test_events_can_be_followed_for_an_operation(shop):
    """Server-sent events end when the operation has ended."""
    changed = shop.api.patch(f"/managed-services/{shop.id}", {"config": {"work_mem": "8MB"}})
    answer = shop.api.raw("GET", f"/api/operations/{changed['operationId']}/events", timeout=120)
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert '"state":"succeeded"' in answer.body.strip().splitlines()[-1]
    assert shop.database().sql("SHOW work_mem") == "8MB"
