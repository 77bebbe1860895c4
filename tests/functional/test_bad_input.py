"""Bad input: refused at once, with the place, and with nothing left behind."""
import socket
import urllib.parse
from datetime import datetime, timedelta, timezone

import pytest

from support import bodies
from support.api import Api
from support.waiting import wait_for


@pytest.fixture
def good(team, shared_server) -> dict:
    return bodies.service(team, "never-made", bodies.new_password())


@pytest.fixture(autouse=True)
def nothing_is_left_behind(api):
    before = {s["id"] for s in api.get("/managed-services?includeDeleted=true")}
    yield
    assert {s["id"] for s in api.get("/managed-services?includeDeleted=true")} == before


def refusal(api: Api, body, status: int = 400, method: str = "POST", path: str = "/managed-services") -> dict:
    answer = api.raw(method, path, body)
    assert answer.status == status, answer
    envelope = answer.body
    assert envelope["status"] == status and envelope["title"] and envelope["traceId"] and envelope["code"]
    assert answer.headers["Content-Type"].startswith("application/json")
    return envelope


def pointers(envelope: dict) -> set:
    return {error["pointer"] for error in envelope.get("errors", [])}


@pytest.mark.parametrize("text", [b"", b"{", b'{"teamId": 1,}', b"\xff\xfe", b"[1,2", b"nul", b'{"a":"\\ud800"}x'])
def test_malformed_json(api, text):
    assert refusal(api, text)["code"] in ("malformed_json", "invalid_argument")


@pytest.mark.parametrize("change, pointer", [
    ({"teamId": "one"}, "/teamId"), ({"teamId": None}, "/teamId"), ({"name": 5}, "/name"), ({"provider": "postgresql"}, "/provider"),
    ({"plan": []}, "/plan"), ({"plan": {"id": "1", "parameters": {}}}, "/plan/id"), ({"config": "x"}, "/config"),
    ({"secrets": []}, "/secrets"), ({"secrets": {"password": 7}}, "/secrets/password"), ({"backups": True}, "/backups"),
    ({"backups": {"enabled": "yes"}}, "/backups/enabled"), ({"recoverFrom": {"id": 7}}, "/recoverFrom/id"),
    ({"recoverFrom": {"msId": "5e2ab7a4-4f0c-4e3a-9b76-0e2f3b7f4c11", "time": "yesterday", "config": {}, "secrets": {}}}, "/recoverFrom/time"),
])
def test_wrong_types_are_named_by_a_pointer(api, good, change, pointer):
    assert pointer in pointers(refusal(api, good | change))


def test_all_wrong_fields_are_named_at_once(api, good):
    named = pointers(refusal(api, good | {"teamId": "one", "name": 5, "config": 1}))
    assert {"/teamId", "/name", "/config"} <= named


@pytest.mark.parametrize("provider, code", [
    ({"name": "redis", "version": "7"}, "unknown_provider"), ({"name": "postgresql", "version": "9"}, "unknown_provider"),
    ({"name": "postgres", "version": "v9"}, "unknown_provider"),
])
def test_unknown_providers(api, good, provider, code):
    envelope = refusal(api, good | {"provider": provider})
    assert envelope["code"] == code and provider["name"] in envelope["detail"]


@pytest.mark.parametrize("change, pointer", [
    ({"plan": {"id": 99, "parameters": {"storage": 10}}}, "/plan/id"),
    ({"plan": {"id": 1, "parameters": {"storage": 0}}}, "/plan/parameters/storage"),
    ({"plan": {"id": 1, "parameters": {"storage": 10, "wings": 2}}}, "/plan/parameters/wings"),
    ({"plan": {"id": 1, "parameters": {"storage": 10, "cpu": 80}}}, "/plan/parameters/cpu"),
    ({"config": {"fsync": "off"}}, "/config/fsync"),
    ({"config": {"archive_command": "rm"}}, "/config/archive_command"),
    ({"config": {"shared_preload_libraries": "x"}}, "/config/shared_preload_libraries"),
    ({"config": {"wal_level": "minimal"}}, "/config/wal_level"),
    ({"config": {"max_connections": "many"}}, "/config/max_connections"),
    ({"config": {"work_mem": "4MB\nfsync = off"}}, "/config/work_mem"),
    ({"config": {"userName": "postgres"}}, "/config/userName"),
    ({"secrets": {}}, "/secrets/password"),
    ({"secrets": {"password": ""}}, "/secrets/password"),
    ({"backups": {"enabled": True, "intervalH": 0, "deleteRetentionDays": 7, "config": {}, "secrets": {}}}, "/backups/intervalH"),
    ({"backups": {"enabled": True, "intervalH": 24, "deleteRetentionDays": 366, "config": {}, "secrets": {}}}, "/backups/deleteRetentionDays"),
    ({"backups": {"enabled": True, "intervalH": 24, "deleteRetentionDays": 7, "config": {"destinationPath": "ftp://x"}, "secrets": {}}},
     "/backups/config/destinationPath"),
])
def test_violations_of_schemas_are_named_by_a_pointer(api, good, change, pointer):
    envelope = refusal(api, good | change)
    assert pointer in pointers(envelope) or any(p.startswith(pointer) for p in pointers(envelope)), envelope


@pytest.mark.parametrize("field, value", [("intervalH", 0), ("intervalH", 731), ("deleteRetentionDays", 0), ("deleteRetentionDays", 366)])
def test_times_of_backups_have_bounds_for_new_services_and_for_changes(api, good, shop, field, value):
    times = {"enabled": True, "intervalH": 24, "deleteRetentionDays": 7, "config": {}, "secrets": {}}
    assert f"/backups/{field}" in pointers(refusal(api, good | {"backups": times | {field: value}}))
    before = api.service(shop.id)["backups"][field]
    assert f"/backups/{field}" in pointers(
        refusal(api, {"backups": {field: value}}, method="PATCH", path=f"/managed-services/{shop.id}"))
    assert api.service(shop.id)["backups"][field] == before


@pytest.mark.parametrize("name", ["", " front", "back ", "a/b", "ümlaut", "x" * 128, "line\nbreak", "semi;colon"])
def test_names_that_break_the_pattern(api, good, name):
    assert "/name" in pointers(refusal(api, good | {"name": name}))


def test_a_password_of_the_request_is_never_in_the_answer(api, good):
    answer = api.raw("POST", "/managed-services", good | {"secrets": {"password": "pw-must-not-show\x01"}})
    assert answer.status == 400 and "pw-must-not-show" not in str(answer.body)


def connect(server) -> socket.socket:
    parts = urllib.parse.urlsplit(server.url)
    return socket.create_connection((parts.hostname, parts.port), timeout=60)


def test_a_body_of_100_mb_is_refused_before_it_is_sent(server, api):
    size = 100 * 1024 * 1024
    with connect(server) as client:
        client.sendall(f"POST /managed-services HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {api.token}\r\n"
                       f"Content-Type: application/json\r\nContent-Length: {size}\r\n\r\n".encode())
        assert client.recv(4096).split(b"\r\n")[0] == b"HTTP/1.1 413 Payload Too Large"
    assert api.raw("GET", "/health").status == 200


def test_a_client_that_sends_a_byte_a_second_holds_nobody_up(server, api):
    slow = [connect(server) for _ in range(32)]
    try:
        for client in slow:
            client.sendall(b"P")
        assert api.raw("GET", "/teams", timeout=5).status == 200

        def closed() -> bool:
            client = slow[0]
            client.settimeout(0.05)
            try:
                client.sendall(b"O")
                answer = client.recv(4096)
            except TimeoutError:
                return False
            except OSError:
                return True
            return answer == b"" or answer.startswith(b"HTTP/1.1 408")
        wait_for("the slow client is sent away", closed, 60, interval=1.0)
    finally:
        for client in slow:
            client.close()


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer ", "Basic YWRtaW46YWRtaW4=", "Bearer not-a-token"])
def test_tokens_that_are_missing_or_unknown(server, header):
    answer = Api(server.url, None).raw("GET", "/managed-services", headers={"Authorization": header} if header else {})
    assert answer.status == 401 and answer.body["code"] == "unauthenticated"


def test_an_expired_token(server, api, team):
    """A token that ends in two seconds works, and then it does not."""
    ends = (datetime.now(timezone.utc) + timedelta(seconds=2)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    made = api.post("/tokens", {"name": "soon gone", "scopes": ["read"], "teamIds": [team], "expiresAt": ends})
    short_lived = Api(server.url, made["token"])
    assert short_lived.raw("GET", "/managed-services").status == 200
    wait_for("the token expires", lambda: short_lived.raw("GET", "/managed-services").status == 401, 30)


def test_a_token_of_another_team_sees_nothing(server, api, shop):
    other = api.post("/teams", {"name": "the others"})
    token = api.post("/tokens", {"name": "others", "scopes": ["write"], "teamIds": [other["id"]]})["token"]
    stranger = Api(server.url, token)
    assert stranger.get("/managed-services") == []
    for method, path, body in (("GET", "", None), ("GET", "/details", None), ("PATCH", "", {"name": "mine"}), ("POST", "/backups", None)):
        assert stranger.raw(method, f"/managed-services/{shop.id}{path}", body).status in (401, 404), (method, path)
    assert stranger.raw("GET", f"/api/backups?serviceId={shop.id}").status in (401, 403, 404)
    mine = bodies.service(shop.body["teamId"], "smuggled", bodies.new_password())
    assert stranger.raw("POST", "/managed-services", mine).status in (400, 401, 404)
    theirs = bodies.service(other["id"], "stolen", bodies.new_password()) | {
        "recoverFrom": bodies.recover(shop.store, msId=shop.id, time=shop.now())}
    assert stranger.raw("POST", "/managed-services", theirs).status in (400, 401, 404)


def test_a_reader_may_not_write(server, api, good, team):
    token = api.post("/tokens", {"name": "reader", "scopes": ["read"], "teamIds": [team]})["token"]
    reader = Api(server.url, token)
    assert reader.raw("GET", "/managed-services").status == 200
    assert refusal(reader, good, 401)["code"] == "forbidden"
    assert reader.raw("POST", "/tokens", {"name": "x", "scopes": ["admin"], "teamIds": []}).status == 403


def with_store(good: dict, config: dict, secrets: dict) -> dict:
    return good | {"backups": bodies.backups({"config": config, "secrets": secrets})}


def test_wrong_keys_of_the_store(api, good, rgw):
    bucket = rgw.make_bucket("wrong-keys")
    envelope = refusal(api, with_store(good, {"endpointUrl": rgw.url, "destinationPath": f"s3://{bucket}/"},
                                       {"accessKey": rgw.access_key, "secretKey": "not-the-key"}))
    assert envelope["code"] == "store_access_denied" and "not-the-key" not in str(envelope)


def test_a_missing_bucket(api, good, rgw):
    envelope = refusal(api, with_store(good, {"endpointUrl": rgw.url, "destinationPath": "s3://there-is-no-such-bucket/"},
                                       {"accessKey": rgw.access_key, "secretKey": rgw.secret_key}))
    assert envelope["code"] == "store_not_found" and "there-is-no-such-bucket" in envelope["detail"]


@pytest.mark.parametrize("path", ["file:///etc/backups", "file:///", "file://{stores}/../outside", "file://{stores}/a/../../../outside"])
def test_directories_outside_the_allowed_roots(api, server, good, path):
    path = path.format(stores=f"{server.state_dir}/stores")
    assert refusal(api, with_store(good, {"destinationPath": path}, {}))["code"] in ("path_not_allowed", "invalid_argument")


def test_addresses_of_cloud_metadata_are_never_connected_to(api, good):
    envelope = refusal(api, with_store(good, {"endpointUrl": "http://169.254.169.254", "destinationPath": "s3://bucket/"},
                                       {"accessKey": "a", "secretKey": "b"}))
    assert envelope["code"] == "egress_refused"


@pytest.mark.parametrize("target, code", [
    ({"msId": "5e2ab7a4-4f0c-4e3a-9b76-0e2f3b7f4c11", "time": "2026-04-10T12:00:00Z"}, None),
    ({"id": "5e2ab7a4-4f0c-4e3a-9b76-0e2f3b7f4c11"}, None),
    ({}, "invalid_argument"),
])
def test_recovery_from_what_is_not_there(api, good, target, code):
    envelope = refusal(api, good | {"recoverFrom": {**target, "config": {}, "secrets": {}}})
    assert code is None or envelope["code"] == code


def test_recovery_by_id_excludes_a_time(api, good, shop):
    target = {"id": shop.api.backups(shop.id)[0]["id"], "msId": shop.id, "time": "2026-04-10T12:00:00Z"}
    refusal(api, good | {"recoverFrom": {**target, "config": {}, "secrets": {}}})


def test_recovery_from_an_unfinished_backup(api, good, shop):
    entry = api.post(f"/managed-services/{shop.id}/backups")
    try:
        answer = api.raw("POST", "/managed-services", good | {"recoverFrom": bodies.recover(shop.store, id=entry["id"])})
        assert answer.status == 400, "the backup was just scheduled, nothing of it is stored"
        assert entry["id"] in answer.body["detail"] and answer.body["hint"]
    finally:
        api.wait_for_backup(shop.id, entry["id"])


def test_a_plan_that_the_data_does_not_fit(api, good, shop):
    body = good | {"provider": {"name": "postgres", "version": "v1"}, "secrets": {"userPassword": bodies.new_password()},
                   "plan": {"id": 0, "parameters": {"storage": 1}},
                   "recoverFrom": bodies.recover(shop.store, msId=shop.id, time=shop.now())}
    assert refusal(api, body)["code"] in ("plan_too_small", "invalid_argument")


@pytest.mark.parametrize("path, status", [("/nothing", 404), ("/managed-services/not-a-uuid", 404),
                                          ("/managed-services/5e2ab7a4-4f0c-4e3a-9b76-0e2f3b7f4c11", 404),
                                          ("/api/operations/5e2ab7a4-4f0c-4e3a-9b76-0e2f3b7f4c11", 404),
                                          ("/managed-services/../../etc/passwd", 404), ("/api/operations/%zz", 400)])
def test_paths_that_lead_nowhere(api, path, status):
    answer = api.raw("GET", path)
    assert answer.status in (status, 400), answer
    assert answer.body["traceId"]
