"""One Backstay as the backend of another: a real PostgreSQL, made, changed, backed up, recovered and deleted through the
adapter contract."""
import secrets

import pytest

from support import bodies
from support.database import Database
from support.providers import relay
from support.waiting import wait_for

PROVIDERS = "/managed-services/providers"


@pytest.fixture(scope="module")
def below(new_server):
    """The one that runs the databases."""
    return new_server("below").start()


@pytest.fixture(scope="module")
def key(below) -> str:
    api = below.api()
    team = api.get("/teams")[0]["id"]
    return api.post("/api/tokens", {"name": "platform", "scopes": ["read", "write"], "teamIds": [team]})["token"]


@pytest.fixture(scope="module")
def adapter(below) -> str:
    return below.url + "/api/adapter/postgres/v1"


@pytest.fixture(scope="module")
def relayed(shared_server, below, key, adapter) -> str:
    """The other one publishes what it offers."""
    name = "relayed-" + secrets.token_hex(4)
    source = next(p for p in below.api().get(PROVIDERS) if (p["name"], p["schemaVersion"]) == ("postgres", "v1"))
    shared_server.api().post(PROVIDERS, relay(name, source, adapter, key))
    return name


def caller(below, key: str, headers=None):
    """Speaks the contract by hand."""
    api = below.api()
    api.token = None
    sent = {"Authorization": f"Bearer {key}"} if headers is None else headers

    def call(method: str, path: str, body=None):
        return api.raw(method, "/api/adapter/postgres/v1" + path, body, sent)
    return call


def order(service_id: str, **more) -> dict:
    return {"id": service_id, "teamId": 4711, "plan": {"id": 0, "parameters": {"storage": 10240}}, "config": {},
            "secrets": {"userPassword": bodies.new_password(), "superuserPassword": bodies.new_password()}, **more}


def uuid() -> str:
    import uuid as library
    return str(library.uuid4())


def test_a_database_made_changed_backed_up_and_recovered_through_another_backstay(api, team, relayed, below):
    password = bodies.new_password()
    body = {"teamId": team, "name": "orders", "provider": {"name": relayed, "schemaVersion": "v1"},
            "plan": {"id": 0, "parameters": {"storage": 10240}}, "config": {"databaseName": "orders"},
            "secrets": {"userPassword": password, "superuserPassword": bodies.new_password()}}
    source = api.post("/managed-services", body)["id"]
    api.wait_for_state(source, "synchronized", 180)
    database = Database.of(api.details(source), password)
    database.sql("CREATE TABLE t (v text); INSERT INTO t VALUES ('before')")

    api.patch(f"/managed-services/{source}", {"config": {"work_mem": "6MB"}})
    api.wait_for_state(source, "synchronized", 120)
    assert Database.of(api.details(source), password).sql("SHOW work_mem") == "6MB"

    changed = bodies.new_password()
    api.patch(f"/managed-services/{source}", {"secrets": {"userPassword": changed}})
    wait_for("the new password", lambda: api.service(source)["status"]["state"] == "synchronized", 120)
    database = Database.of(api.details(source), changed)
    assert database.sql("SELECT v FROM t") == "before"

    store = bodies.directory_store(below.state_dir, "relayed")
    api.patch(f"/managed-services/{source}", {"backups": bodies.backups(store)})
    backup = api.wait_for_backup(source, seconds=180)
    database.sql("DROP TABLE t")

    recovered_password = bodies.new_password()
    copy = api.post("/managed-services", {**body, "name": "orders-copy", "recoverFrom": bodies.recover(store, id=backup["id"]),
                                          "secrets": {**body["secrets"], "userPassword": recovered_password}})["id"]
    api.wait_for_state(copy, "synchronized", 180)
    assert Database.of(api.details(copy), recovered_password).sql("SELECT v FROM t") == "before"

    for service in (copy, source):
        api.patch(f"/managed-services/{service}", {"backups": {"enabled": False}})
        api.wait_for_state(service, "synchronized", 120)
        api.delete(f"/managed-services/{service}")
    names = [f"postgres-{copy}", f"postgres-{source}"]
    wait_for("both are gone below",
             lambda: all(s["name"] not in names for s in below.api().get("/managed-services")), 120)


def test_repeats_are_done_and_ids_are_the_callers(below, key):
    call = caller(below, key)
    made = order(uuid())
    first = call("POST", "", made)
    assert (first.status, first.body) == (201, None)
    assert call("POST", "", made).status == 201
    assert made["id"] in call("GET", "").body
    assert len([s for s in below.api().get("/managed-services") if made["id"] in s["name"]]) == 1
    assert call("GET", f"?id={made['id']}&id={uuid()}").body.keys() == {made["id"]}
    ready = wait_for("ready", lambda: (r := call("GET", f"?id={made['id']}").body[made["id"]])["details"].get("ready") and r, 120)
    assert ready["plan"]["parameters"].items() >= made["plan"]["parameters"].items()
    assert ready["config"] == {} and "error" not in ready and ready["pause"] is False
    operations = len(below.api().get("/api/operations"))
    assert call("PATCH", f"/{made['id']}", {"id": made["id"], "teamId": 4711, "config": {}, "secrets": made["secrets"]}).status == 204
    assert len(below.api().get("/api/operations")) == operations, "what changes nothing is no work"
    assert call("DELETE", f"/{made['id']}").status == 204
    wait_for("gone", lambda: made["id"] not in call("GET", "").body, 60)
    assert call("DELETE", f"/{made['id']}").status == 404
    assert call("PATCH", f"/{made['id']}", {"id": made["id"], "teamId": 4711}).status == 404


def test_a_backup_is_deleted_once_a_newer_one_is_there(below):
    api = below.api()
    team = api.get("/teams")[0]["id"]
    key = api.post("/api/tokens", {"name": "deletes", "scopes": ["read", "write"], "teamIds": [team]})["token"]
    call = caller(below, key)
    made = order(uuid())
    assert call("POST", "", made).status == 201
    wait_for("ready", lambda: call("GET", f"?id={made['id']}").body[made["id"]]["details"].get("ready"), 120)
    body = {"msId": made["id"], "teamId": 4711, "retentionDays": 3, **bodies.directory_store(below.state_dir, "deletes")}

    def backed_up() -> str:
        backup = uuid()
        assert call("PUT", f"/backups/{backup}", body).status == 202
        wait_for("the backup", lambda: call("POST", f"/backups/{backup}/status", body).body["exists"], 120)
        return backup
    first = backed_up()
    assert call("DELETE", f"/backups/{uuid()}", body).status == 404
    unknown = call("POST", f"/backups/{uuid()}/status", body)
    assert (unknown.status, unknown.body) == (200, {"exists": False}), "its order may have been lost: it is not refused"
    endless = call("PUT", f"/backups/{uuid()}", {**body, "retentionDays": 366})
    assert endless.status == 400 and "/retentionDays" in endless.body["error"]
    service = next(s for s in api.get("/managed-services") if made["id"] in s["name"])["id"]
    assert api.service(service)["backups"]["deleteRetentionDays"] == 3
    assert call("DELETE", f"/backups/{first}", body).status == 409, "it is the only good one"
    newer = backed_up()
    answers = [call("DELETE", f"/backups/{first}", body).status for _ in range(2)]
    assert answers[0] in (202, 409) and set(answers) <= {202, 404, 409}, answers
    assert call("POST", f"/backups/{newer}/status", body).body == {"exists": True}
    if answers[0] == 202:
        status = call("POST", f"/backups/{first}/status", body)
        assert status.status == 404 or status.body["exists"] is False
    del body["retentionDays"]
    backed_up()
    assert api.service(service)["backups"]["deleteRetentionDays"] == 365, "the caller left it to the backend"
    assert call("DELETE", f"/{made['id']}").status == 204


def test_errors_are_the_contracts(below, key):
    call = caller(below, key)
    for body in ({}, {"id": uuid()}, order(uuid(), teamId=0), order("not an id!"), order(uuid(), config={"nonsense": 1}),
                 order(uuid(), plan={"id": 99, "parameters": {}}), order(uuid(), secrets={"userPassword": 5}),
                 order(uuid(), recoverFrom={"id": uuid(), "config": {}, "secrets": {}})):
        answer = call("POST", "", body)
        assert answer.status == 400 and answer.body.keys() == {"error"}, (body, answer)
    assert call("POST", "", b"{").status == 400
    assert call("PATCH", f"/{uuid()}", {"id": uuid(), "teamId": 1}).status == 400
    assert call("POST", f"/backups/{uuid()}/status", {"msId": uuid(), "teamId": 1}).status == 404
    assert call("PUT", f"/backups/{uuid()}", {"msId": uuid(), "teamId": 1}).status == 404
    nobody = below.api().raw("GET", "/api/adapter/redis/v1", headers={"Authorization": f"Bearer {key}"})
    assert nobody.status == 404 and nobody.body.keys() == {"error"}
    assert not [i for i in call("GET", "").body if i == "not an id!"]


def test_the_key_may_come_in_three_forms(below, key):
    for headers in ({"Authorization": f"Bearer {key}"}, {"Authorization": key}, {"X-API-Key": key}):
        assert caller(below, key, headers)("GET", "").status == 200, headers
    for headers in ({}, {"Authorization": "Bearer nonsense"}, {"X-API-Key": "nonsense"}):
        answer = caller(below, key, headers)("GET", "")
        assert answer.status == 401 and answer.body.keys() == {"error"}, headers
    assert below.api().raw("GET", "/managed-services", headers={"Authorization": key}).status == 401, "only here"


def test_a_backend_needs_the_token_of_one_team(below):
    answer = below.api().raw("GET", "/api/adapter/postgres/v1")
    assert answer.status == 400 and "one team" in answer.body["error"]


def test_one_callers_services_are_not_anothers(below, key):
    api = below.api()
    other = api.post("/teams", {"name": "other platform"})["id"]
    other_key = api.post("/api/tokens", {"name": "other", "scopes": ["read", "write"], "teamIds": [other]})["token"]
    made = order(uuid())
    assert caller(below, key)("POST", "", made).status == 201
    stranger = caller(below, other_key)
    assert made["id"] not in stranger("GET", "").body
    assert stranger("GET", f"?id={made['id']}").body == {}
    assert stranger("DELETE", f"/{made['id']}").status == 404
    assert caller(below, key)("DELETE", f"/{made['id']}").status == 204
