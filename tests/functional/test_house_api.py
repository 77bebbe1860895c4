"""Backstay's own calls beside the contract: teams, tokens, destinations, operations, events, the recovery kit."""
import pytest

from support import bodies
from support.api import Api, ApiError


def refused(api, method, path, body=None):
    with pytest.raises(ApiError) as caught:
        api.call(method, path, body)
    return caught.value.answer


def test_a_success_is_always_200_and_json(api):
    made = api.raw("POST", "/tokens", {"name": "short", "scopes": ["read"], "allTeams": True})
    gone = api.raw("DELETE", f"/api/tokens/{made.body['id']}")
    for answer in (made, gone, api.raw("GET", "/teams"), api.raw("GET", "/api/teams")):
        assert answer.status == 200 and answer.headers["Content-Type"] == "application/json"


def test_a_refusal_carries_a_trace_that_may_be_the_callers(api):
    trace = "0af7651916cd43dd8448eb211c80319c"
    answer = api.raw("GET", "/managed-services/none", headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"})
    assert answer.body["traceId"] == trace
    assert set(answer.body) >= {"status", "title", "detail", "traceId", "code", "hint"}
    assert answer.body["status"] == answer.status == 404
    other = api.raw("GET", "/managed-services/none").body["traceId"]
    assert len(other) == 32 and other != trace


def test_statuses_are_narrowed_on_the_contracts_paths_only(server, api):
    reader = Api(server.url, api.post("/tokens", {"name": "reader", "scopes": ["read"], "allTeams": True})["token"])
    assert refused(reader, "POST", "/teams", {"name": "x"}).status == 401
    assert refused(reader, "POST", "/tokens", {"name": "x", "scopes": ["read"]}).status == 403
    assert refused(api, "PUT", "/api/managed-services").status == 404
    assert refused(api, "PUT", "/tokens").status == 405


def test_a_team_has_an_id_a_name_and_its_own_view(server, api):
    team = api.post("/teams", {"name": "Second Team", "dc": 1})
    assert api.get(f"/api/teams/{team['id']}")["name"] == "Second Team"
    assert team["slug"] == "second-team" and "role" not in team
    text = api.post("/tokens", {"name": "member", "scopes": ["write"], "teamIds": [team["id"]]})["token"]
    seen = Api(server.url, text).get("/teams")
    assert [(t["id"], t["role"]) for t in seen] == [(team["id"], 1)]


def test_a_destination_is_probed_before_it_is_taken(server, api, team):
    store = bodies.directory_store(server.state_dir, "probed")
    made = api.post("/api/destinations", {"teamId": team, "name": "probed", **{k: store[k] for k in ("config", "secrets")}})
    assert all(check["passed"] for check in made["checks"] if check["essential"])
    assert api.get(f"/api/destinations/{made['id']}")["url"] == made["url"]
    assert made["id"] in [d["id"] for d in api.get(f"/api/destinations?team={team}")]
    api.delete(f"/api/destinations/{made['id']}")
    assert refused(api, "GET", f"/api/destinations/{made['id']}").status == 404


def test_the_recovery_kit_is_missed_until_it_is_fetched(server, api):
    team = api.post("/teams", {"name": "with a kit"})["id"]
    store = bodies.directory_store(server.state_dir, "kit")
    api.post("/api/destinations", {"teamId": team, "name": "d", **{k: store[k] for k in ("config", "secrets")}})
    assert api.get(f"/teams/{team}")["recoveryKit"] == {"exists": True}
    assert "bsk1-" in api.post(f"/api/teams/{team}/recovery-kit")["text"]
    assert "fetchedAt" in api.get(f"/teams/{team}")["recoveryKit"]


def test_operations_and_events_of_a_service(shop):
    operations = shop.api.get(f"/api/operations?service={shop.id}")
    assert operations and all(o["serviceId"] == shop.id for o in operations)
    ended = [o for o in operations if o["state"] == "succeeded"][-1]
    assert refused(shop.api, "POST", f"/api/operations/{ended['id']}/cancel").body["code"] == "conflict"
    stream = shop.api.raw("GET", f"/api/operations/{ended['id']}/events")
    assert stream.body.count("data: ") == 1
    newest = shop.api.get(f"/api/events?serviceId={shop.id}&limit=1")
    assert len(newest) == 1
    assert shop.api.get(f"/api/events?serviceId={shop.id}&after={newest[0]['sequence'] - 1}")[0]["id"] == newest[0]["id"]
