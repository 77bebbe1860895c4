"""The provider registry from outside: publish, replace, change, withdraw, and who sees what."""
import secrets

import pytest

from support.backend import FakeBackend
from support.providers import definition, service

PROVIDERS = "/managed-services/providers"


@pytest.fixture(scope="module")
def backend():
    fake = FakeBackend()
    yield fake
    fake.close()


@pytest.fixture
def name() -> str:
    return "p" + secrets.token_hex(6)


@pytest.fixture
def other_team(api) -> int:
    return api.post("/teams", {"name": "other " + secrets.token_hex(4)})["id"]


def token_of(server, team: int, scopes=("read", "write")):
    made = server.api().post("/api/tokens", {"name": "member", "scopes": list(scopes), "teamIds": [team]})
    member = server.api()
    member.token = made["token"]
    return member


def listed(api, query: str = "") -> dict:
    return {(p["name"], p["schemaVersion"]): p for p in api.get(PROVIDERS + query)}


def test_a_published_provider_is_listed_without_its_secret(api, backend, name):
    made = api.post(PROVIDERS, definition(name, backend.url, backend.KEY))
    assert made["scope"] == "global" and made["createdAt"]
    shown = listed(api)[name, "v1"]
    assert shown == made
    assert shown["backend"] == {"api": {"endpoint": backend.url}}
    assert backend.KEY not in str(api.get(PROVIDERS))
    assert backend.KEY not in str(api.get("/api/events?limit=1000"))


def test_post_of_an_existing_one_is_409_and_put_repeats(api, backend, name):
    body = definition(name, backend.url, backend.KEY)
    first = api.put(PROVIDERS, body) if hasattr(api, "put") else api.call("PUT", PROVIDERS, body)
    assert api.call("PUT", PROVIDERS, body) == first
    answer = api.raw("POST", PROVIDERS, body)
    assert (answer.status, answer.body["code"], answer.body["status"]) == (409, "already_exists", 409)
    assert api.call("PUT", PROVIDERS, {**body, "displayName": "Other"})["displayName"] == "Other"


def test_patch_changes_what_it_names_and_delete_withdraws(api, backend, name):
    api.post(PROVIDERS, definition(name, backend.url, backend.KEY))
    changed = api.patch(f"{PROVIDERS}/{name}/v1", {"description": "new"})
    assert changed["description"] == "new" and changed["displayName"] == name.title()
    assert api.raw("PATCH", f"{PROVIDERS}/{name}/v2", {"description": "x"}).status == 404
    assert api.delete(f"{PROVIDERS}/{name}/v1") == {}
    assert (name, "v1") not in listed(api)
    assert api.raw("DELETE", f"{PROVIDERS}/{name}/v1").status == 404


@pytest.mark.parametrize("change, pointer", [
    ({"name": "Not A Name"}, "/name"),
    ({"schemaVersion": "1.0"}, "/schemaVersion"),
    ({"plans": []}, "/plans"),
    ({"configSchema": {"type": "object", "frobnicate": 1}}, "/configSchema/frobnicate"),
    ({"configSchema": {"properties": {"a": {"pattern": "("}}}}, "/configSchema/properties/a/pattern"),
    ({"backend": {"api": {"endpoint": "ftp://x"}}}, "/backend/api/endpoint"),
    ({"backend": {"landscape": {"gitUrl": "https://git.example/x"}}}, "/backend/landscape"),
    ({"versions": {"seven": {"gitRef": "a", "ciProfile": "b"}}}, "/versions/seven"),
    ({"scope": {"type": "team"}}, "/scope/teamIds"),
    ({"scope": {"type": "team", "teamIds": [987654]}}, "/scope/teamIds"),
    ({"capabilities": {"backups": False, "pointInTimeRecovery": True}}, "/capabilities/pointInTimeRecovery"),
])
def test_what_cannot_work_is_refused_with_a_pointer(api, backend, name, change, pointer):
    before = api.get(PROVIDERS)
    answer = api.raw("POST", PROVIDERS, {**definition(name, backend.url, backend.KEY), **change})
    assert answer.status == 400, answer.body
    assert pointer in [error["pointer"] for error in answer.body["errors"]], answer.body
    assert api.get(PROVIDERS) == before


def test_git_published_providers_are_refused_with_the_reason(api):
    answer = api.raw("POST", PROVIDERS, {"gitUrl": "https://git.example/x", "scope": {"type": "global"}})
    assert (answer.status, answer.body["code"]) == (400, "not_supported")
    assert "inline" in answer.body["hint"]


def test_metadata_addresses_are_no_backends(api, name):
    answer = api.raw("POST", PROVIDERS, definition(name, "http://169.254.169.254/latest", "k"))
    assert (answer.status, answer.body["code"]) == (400, "egress_refused")
    assert answer.body["errors"][0]["pointer"] == "/backend/api/endpoint"


def test_built_in_providers_stay(api, backend):
    for method, path in (("PATCH", f"{PROVIDERS}/postgres/v1"), ("DELETE", f"{PROVIDERS}/postgres/v1")):
        assert api.raw(method, path, {} if method == "PATCH" else None).status == 400
    assert api.raw("PUT", PROVIDERS, definition("postgres", backend.url, backend.KEY, "v9")).status == 400


def test_a_team_publishes_for_itself_and_nobody_else_sees_it(server, api, team, other_team, backend, name):
    member, stranger = token_of(server, team), token_of(server, other_team)
    body = definition(name, backend.url, backend.KEY)
    refused = member.raw("POST", PROVIDERS, body)
    assert (refused.status, refused.body["code"]) == (401, "forbidden"), "everybody's needs an administrator"
    made = member.post(PROVIDERS, {**body, "scope": {"type": "team", "teamIds": [team]}})
    assert made["scope"] == "team" and made["teamIds"] == [team]
    assert (name, "v1") in listed(member) and (name, "v1") in listed(api, f"?teamId={team}")
    assert (name, "v1") not in listed(stranger) and (name, "v1") not in listed(api, f"?teamId={other_team}")
    assert stranger.raw("DELETE", f"{PROVIDERS}/{name}/v1").status == 404
    answer = stranger.raw("POST", "/managed-services", service(other_team, "s", name))
    assert (answer.status, answer.body["code"]) == (400, "unknown_provider")
    reader = token_of(server, team, ["read"])
    assert reader.raw("DELETE", f"{PROVIDERS}/{name}/v1").status == 401
    member.delete(f"{PROVIDERS}/{name}/v1")


def test_the_published_schema_judges_services(api, team, backend, name):
    api.post(PROVIDERS, definition(name, backend.url, backend.KEY))
    bad = service(team, "bad-" + name, name, {"size": 7, "colour": "red"}, secrets={"password": "short"})
    answer = api.raw("POST", "/managed-services", bad)
    assert answer.status == 400
    assert {error["pointer"] for error in answer.body["errors"]} == {"/config/size", "/config/colour", "/secrets/password"}
    assert not backend.bodies("POST")


def test_what_was_published_is_there_after_a_restart(own_server, backend, name):
    own_server.api().post(PROVIDERS, definition(name, backend.url, backend.KEY))
    own_server.kill()
    own_server.start()
    assert (name, "v1") in listed(own_server.api())


def test_if_match_guards_a_provider(api, backend, name):
    api.post(PROVIDERS, definition(name, backend.url, backend.KEY))
    path = f"{PROVIDERS}/{name}/v1"
    seen = api.raw("GET", path)
    assert seen.status == 200 and seen.body == listed(api)[name, "v1"]
    seen = seen.headers["ETag"]
    assert api.raw("PATCH", path, {"displayName": "Mine"}, {"If-Match": seen}).status == 200
    for method, body in (("PATCH", {"displayName": "Late"}), ("DELETE", None)):
        late = api.raw(method, path, body, {"If-Match": seen})
        assert (late.status, late.body["code"]) == (400, "precondition_failed")
    assert listed(api)[name, "v1"]["displayName"] == "Mine"
    assert api.raw("DELETE", path, None, {"If-Match": api.raw("GET", path).headers["ETag"]}).status == 200
    assert api.raw("GET", path).status == 404
