"""Roles and scopes of tokens, as their holders meet them."""
import pytest

from support import bodies
from support.api import Api, ApiError


@pytest.fixture
def holder(server, api, team):
    """Makes clients with tokens of these roles and scopes."""
    def make(**rights) -> Api:
        made = api.post("/tokens", {"name": "holder", "teamIds": [team], **rights})
        return Api(server.url, made["token"])
    return make


def refusal(api: Api, method: str, path: str, body=None) -> tuple:
    with pytest.raises(ApiError) as caught:
        api.call(method, path, body)
    return caught.value.answer.status, caught.value.answer.body["code"], caught.value.answer.body["detail"]


def test_an_operator_changes_and_does_not_delete(server, api, team, holder):
    viewer, operator = holder(role="viewer"), holder(role="operator")
    remover = holder(role="operator", scopes=["delete"])
    place = {"teamId": team, "name": "roles", "config": bodies.directory_store(server.state_dir, "roles")["config"]}
    status, code, detail = refusal(viewer, "POST", "/api/destinations", place)
    assert (status, code) == (403, "forbidden") and "'change'" in detail
    made = operator.post("/api/destinations", place)
    status, code, detail = refusal(operator, "DELETE", f"/api/destinations/{made['id']}")
    assert (status, code) == (403, "forbidden") and "'delete'" in detail
    service = operator.post("/managed-services", bodies.service(team, "roles", bodies.new_password()))
    assert refusal(operator, "DELETE", f"/managed-services/{service['id']}")[:2] == (401, "forbidden")
    assert refusal(operator, "POST", f"/api/managed-services/{service['id']}/undelete")[:2] == (401, "forbidden")
    assert viewer.get(f"/managed-services/{service['id']}")
    remover.delete(f"/managed-services/{service['id']}")
    remover.delete(f"/api/destinations/{made['id']}")
    assert refusal(remover, "GET", "/tokens")[0] == 403


def test_a_token_shows_its_role_and_what_it_may_do(api, team):
    made = api.post("/tokens", {"name": "shown", "role": "operator", "teamIds": [team]})
    assert (made["role"], made["scopes"], made["permissions"]) == ("operator", ["read", "change"], ["read", "change"])
    before = api.post("/tokens", {"name": "as before", "scopes": ["write"], "teamIds": [team]})
    assert before["permissions"] == ["read", "change", "delete", "recover-in-place"]
    status, code, _ = refusal(api, "POST", "/tokens", {"name": "x", "role": "owner"})
    assert (status, code) == (400, "invalid_argument")
    assert refusal(api, "POST", "/tokens", {"name": "x"})[0] == 400
