"""Who did what: the audit log, as an administrator reads it."""
import uuid

import pytest

from support import bodies
from support.api import Api, ApiError


def test_the_audit_log_tells_who_did_what_and_survives_a_kill(own_server):
    server, api = own_server, own_server.api()
    team = api.get("/teams")[0]["id"]
    made = api.post("/tokens", {"name": "ci", "role": "operator", "teamIds": [team]})
    ci = Api(server.url, made["token"])
    place = {"teamId": team, "name": "audited", "config": bodies.directory_store(server.state_dir, "audited")["config"]}
    answer = ci.raw("POST", "/api/destinations", place, headers={"X-Request-Id": "build 17"})
    destination = answer.body["id"]
    with pytest.raises(ApiError):
        ci.delete(f"/api/destinations/{destination}")
    server.kill()
    server.start()
    api = server.api()
    refused, created = api.get(f"/api/audit?objectId={destination}")
    assert created["token"] == {"id": made["id"], "name": "ci", "allTeams": False, "teamIds": [team]}
    assert (created["operation"], created["status"], created["requestId"]) == ("destinations-create", 200, "build 17")
    assert created["client"] == "127.0.0.1" and "code" not in created
    assert (refused["method"], refused["path"], refused["status"]) == ("DELETE", "/destinations/{id}", 403)
    assert refused["code"] == "forbidden" and len(refused["traceId"]) == 32
    whole = str(api.get("/api/audit?limit=1000"))
    assert made["token"] not in whole and "destinationPath" not in whole
    assert [entry["objectId"] for entry in api.get(f"/api/audit?tokenId={made['id']}&refused=true")] == [destination]


def test_an_unknown_token_is_noted_without_one(server, api):
    stranger = Api(server.url, f"bst_{uuid.uuid4().hex}")
    name = uuid.uuid4().hex
    assert stranger.raw("DELETE", f"/api/destinations/{uuid.uuid4()}", headers={"X-Request-Id": name}).status == 401
    entry = next(entry for entry in api.get("/api/audit?refused=true&limit=50") if entry.get("requestId") == name)
    assert "token" not in entry and entry["code"] == "unauthenticated"


def test_whoever_asks_for_a_dump_is_noted(server, api):
    nowhere = str(uuid.uuid4())
    assert api.raw("GET", f"/api/backups/{nowhere}").status == 404
    assert api.raw("GET", f"/api/backups/{nowhere}/dump").status == 404
    entries = api.get(f"/api/audit?objectId={nowhere}")
    assert [(entry["operation"], entry["method"], entry["status"], entry["code"]) for entry in entries] == \
        [("backups-dump", "GET", 404, "not_found")]
