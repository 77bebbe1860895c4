"""People: the first account, logging in and out, passwords, keys of their own, and what a role allows."""
import pytest

from support import bodies
from support.api import Api

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def server(new_server):
    """One whose accounts are these tests' own."""
    return new_server("accounts").start()


@pytest.fixture(scope="module")
def first(server) -> dict:
    """The first account's session; nobody but the operator makes it."""
    nobody = Api(server.url, None)
    assert nobody.get("/api/accounts/setup-status") == {"isSetUp": False}
    wanted = {"email": "Ada@Example.com", "password": PASSWORD, "firstName": "Ada", "lastName": "L."}
    refused = nobody.raw("POST", "/api/accounts/register", wanted)
    assert refused.status == 403 and "accounts.open_registration" in refused.body["hint"]
    assert Api(server.url, "bst_wrong").raw("POST", "/api/accounts/register", wanted).status == 401
    session = server.api().post("/api/accounts/register", wanted)
    assert nobody.get("/api/accounts/setup-status") == {"isSetUp": True}
    assert nobody.raw("POST", "/api/accounts/register", wanted).status == 409
    return session


def login(server, email: str, password: str = PASSWORD) -> Api:
    return Api(server.url, Api(server.url, None).post("/api/sessions", {"email": email, "password": password})["token"])


@pytest.fixture(scope="module")
def user(server, first) -> dict:
    owner = Api(server.url, first["token"])
    team = owner.post("/api/teams", {"name": "people"})["id"]
    made = owner.post("/api/accounts", {"email": "user@example.com", "password": PASSWORD, "role": "user", "teamIds": [team]})
    return {**made, "team": team}


def test_the_first_account_owns_the_server(server, first):
    assert first["account"]["role"] == "superadmin" and first["account"]["email"] == "ada@example.com"
    owner = Api(server.url, first["token"])
    assert owner.get("/api/accounts/me") == owner.get(f"/api/accounts/{first['account']['id']}")
    assert [a["email"] for a in owner.get("/api/accounts")][0] == "ada@example.com"
    assert owner.raw("DELETE", f"/api/accounts/{first['account']['id']}").status == 409


def test_a_session_sees_its_teams_until_it_is_ended(server, user):
    person = login(server, "USER@example.com")
    assert [team["id"] for team in person.get("/teams")] == [user["team"]]
    assert person.raw("GET", "/api/accounts").status == 403
    assert person.patch("/api/accounts/me", {"firstName": "Uma"})["firstName"] == "Uma"
    assert person.delete("/api/sessions/current") == {}
    assert person.raw("GET", "/api/accounts/me").status == 401


def test_a_wrong_password_tells_nothing(server, user):
    nobody = Api(server.url, None)
    known = nobody.raw("POST", "/api/sessions", {"email": "user@example.com", "password": "wrong"})
    unknown = nobody.raw("POST", "/api/sessions", {"email": "who@example.com", "password": "wrong"})
    assert known.status == unknown.status == 401
    assert known.body["detail"] == unknown.body["detail"]


def test_too_many_wrong_passwords_are_refused(server, first):
    owner, nobody = Api(server.url, first["token"]), Api(server.url, None)
    owner.post("/api/accounts", {"email": "guessed@example.com", "password": PASSWORD, "role": "viewer"})
    statuses = [nobody.raw("POST", "/api/sessions", {"email": "guessed@example.com", "password": f"guess {i}"}).status
                for i in range(11)]
    assert statuses == [401] * 10 + [429]


def test_a_new_password_ends_the_other_sessions(server, first):
    owner = Api(server.url, first["token"])
    owner.post("/api/accounts", {"email": "forgetful@example.com", "password": PASSWORD, "role": "viewer"})
    one, other = login(server, "forgetful@example.com"), login(server, "forgetful@example.com")
    change = {"currentPassword": PASSWORD, "newPassword": "another horse"}
    refused = one.raw("PUT", "/api/accounts/me/password", {**change, "currentPassword": "no"})
    assert refused.status == 400 and refused.body["errors"][0]["pointer"] == "/currentPassword"
    assert one.raw("PUT", "/api/accounts/me/password", change).status == 200
    assert one.raw("GET", "/api/accounts/me").status == 200
    assert other.raw("GET", "/api/accounts/me").status == 401
    assert login(server, "forgetful@example.com", "another horse").get("/api/accounts/me")["role"] == "viewer"


def test_keys_are_their_makers_and_allow_no_more(server, user):
    person = login(server, "user@example.com")
    refused = person.raw("POST", "/api/tokens", {"name": "all", "scopes": ["admin"], "teamIds": [user["team"]]})
    assert refused.status == 400 and refused.body["errors"][0]["pointer"] == "/scopes/0"
    key = person.post("/api/tokens", {"name": "ci", "scopes": ["backups:read"], "teamIds": [user["team"]]})
    assert key["accountId"] == user["id"] and key["permissions"] == ["backups:read"]
    assert [t["id"] for t in person.get("/api/tokens")] == [key["id"]]
    assert key["id"] in [t["id"] for t in server.api().get("/api/tokens")]
    assert Api(server.url, key["token"]).raw("GET", "/api/tokens").status == 403
    person.delete(f"/api/tokens/{key['id']}")
    assert Api(server.url, key["token"]).raw("GET", "/teams").status == 401


def test_a_key_for_one_part_opens_no_other(server, user):
    admin = server.api()
    store = bodies.directory_store(server.state_dir, "parts")
    service = admin.post("/managed-services", bodies.service(user["team"], "parts", bodies.new_password(), store))
    admin.wait_for_state(service["id"], "synchronized", 180)
    backup = admin.wait_for_backup(service["id"])

    def key(*scopes) -> Api:
        made = admin.post("/api/tokens", {"name": "part", "scopes": list(scopes), "teamIds": [user["team"]]})
        return Api(server.url, made["token"])
    backups, services = key("backups:read"), key("services:read")
    assert [b["id"] for b in backups.get(f"/api/backups?serviceId={service['id']}")] == [backup["id"]]
    assert backups.raw("GET", f"/managed-services/{service['id']}").status == 401, "403, in the contract's own way"
    assert backups.raw("GET", "/api/operations").status == 403
    seen = services.get("/managed-services")
    assert [s["id"] for s in seen] == [service["id"]]
    assert seen[0]["recentEvents"] == [] and not seen[0]["backups"].get("entries")
    assert services.raw("GET", f"/api/backups?serviceId={service['id']}").status == 403
    assert services.raw("GET", f"/api/backups/{backup['id']}").status == 403
    assert services.raw("POST", f"/api/managed-services/{service['id']}/backups").status in (401, 403)
    assert key("backups:write").raw("DELETE", f"/api/backups/{backup['id']}").status == 403
    taken = key("backups:write").post(f"/managed-services/{service['id']}/backups")
    assert admin.wait_for_backup(service["id"], taken["id"])


def test_removing_an_account_ends_its_sessions_and_keys(server, first):
    owner = Api(server.url, first["token"])
    made = owner.post("/api/accounts", {"email": "gone@example.com", "password": PASSWORD, "role": "viewer",
                                        "teamIds": []})
    person = login(server, "gone@example.com")
    key = person.post("/api/tokens", {"name": "k", "scopes": ["read"]})
    owner.delete(f"/api/accounts/{made['id']}")
    assert person.raw("GET", "/api/accounts/me").status == 401
    assert Api(server.url, key["token"]).raw("GET", "/teams").status == 401
    assert Api(server.url, None).raw("POST", "/api/sessions", {"email": "gone@example.com", "password": PASSWORD}).status == 401


def test_an_open_server_takes_whoever_comes_first(new_server):
    server = new_server("open", {"BACKSTAY_ACCOUNTS_OPEN_REGISTRATION": "true"}).start()
    nobody = Api(server.url, None)
    wanted = {"email": "early@example.com", "password": PASSWORD}
    assert nobody.post("/api/accounts/register", wanted)["account"]["role"] == "superadmin"
    assert nobody.raw("POST", "/api/accounts/register", {**wanted, "email": "late@example.com"}).status == 409
