"""Where backups go: every way to name a store, and what a request is told of one that cannot be used."""
import shutil

import pytest
from conftest import deploy

from support import bodies
from support.api import Api
from support.waiting import wait_for


def keys_of(rgw) -> dict:
    return {"accessKey": rgw.access_key, "secretKey": rgw.secret_key}


@pytest.mark.parametrize("place", ["secrets.accessKey", "config.accessKeyId", "config.accessKey"])
def test_the_access_key_may_stand_in_config_or_secrets(api, team, rgw, place):
    config = {"endpointUrl": rgw.url, "destinationPath": f"s3://{rgw.make_bucket('keys')}/"}
    secrets = {"secretKey": rgw.secret_key}
    where, name = place.split(".")
    (config if where == "config" else secrets)[name] = rgw.access_key
    made = api.post("/api/destinations", {"teamId": team, "name": place, "config": config, "secrets": secrets})
    assert all(check["passed"] for check in made["probe"]["checks"] if check["essential"]), made
    assert rgw.secret_key not in str(made)
    api.delete(f"/api/destinations/{made['id']}")


def refused(api: Api, team: int, config: dict, secrets: dict, code: str, **more) -> set:
    """The pointers of the refusal of a service whose backups go there."""
    body = bodies.service(team, "never-made", bodies.new_password()) | {"backups": bodies.backups({"config": config, "secrets": secrets})}
    answer = api.raw("POST", "/managed-services", body | more)
    assert answer.status == 400 and answer.body["code"] == code, answer
    named = [error["pointer"] for error in answer.body["errors"]]
    assert len(named) == len(set(named)), f"named twice: {named}"
    return set(named)


def test_every_fault_is_named_once_and_at_once_with_its_place(api, team):
    named = refused(api, team, {"endpointUrl": "http://127.0.0.1:9/path", "destinationPath": "s3://x/", "region": "EU"}, {},
                    "invalid_argument", name="a/b", plan={"id": 99, "parameters": {"storage": 10}})
    assert {"/name", "/plan/id", "/backups/config/destinationPath", "/backups/config/region", "/backups/secrets/accessKey",
            "/backups/secrets/secretKey"} <= named


@pytest.mark.parametrize("config, code, pointer", [
    ({"endpointUrl": "http://127.0.0.1:9", "destinationPath": "s3://bucket/"}, "store_unreachable", "/backups/config/endpointUrl"),
    ({"endpointUrl": "http://169.254.169.254", "destinationPath": "s3://bucket/"}, "egress_refused", "/backups/config/endpointUrl"),
    ({"destinationPath": "file:///etc/backups"}, "path_not_allowed", "/backups/config/destinationPath"),
])
def test_a_store_that_cannot_be_used_is_named_by_its_place(api, team, config, code, pointer):
    assert refused(api, team, config, {"accessKey": "a", "secretKey": "b"} if "endpointUrl" in config else {}, code) == {pointer}


def test_a_bucket_that_is_missing_and_keys_that_are_wrong_are_named_by_their_place(api, team, rgw):
    config = {"endpointUrl": rgw.url, "destinationPath": "s3://there-is-no-such-bucket/"}
    assert refused(api, team, config, keys_of(rgw), "store_not_found") == {"/backups/config/destinationPath"}
    config["destinationPath"] = f"s3://{rgw.make_bucket('wrong')}/"
    assert refused(api, team, config, keys_of(rgw) | {"secretKey": "not-the-key"}, "store_access_denied") == {
        "/backups/secrets/secretKey"}


def test_changes_and_recoveries_are_refused_in_the_same_way(api, team, shop):
    nowhere = {"endpointUrl": "http://127.0.0.1:9", "destinationPath": "s3://bucket/"}
    keys = {"accessKey": "a", "secretKey": "b"}
    answer = api.raw("PATCH", f"/managed-services/{shop.id}", {"backups": {"config": nowhere, "secrets": keys}})
    assert answer.status == 400 and answer.body["code"] == "store_unreachable", answer
    assert [error["pointer"] for error in answer.body["errors"]] == ["/backups/config/endpointUrl"]
    body = bodies.service(team, "never-made", bodies.new_password())
    answer = api.raw("POST", "/managed-services", body | {
        "recoverFrom": {"msId": shop.id, "config": nowhere, "secrets": keys}})
    assert answer.status == 400 and answer.body["code"] == "store_unreachable", answer
    assert [error["pointer"] for error in answer.body["errors"]] == ["/recoverFrom/config/endpointUrl"]


def enter(api, team, rgw, name: str, **config) -> dict:
    place = {"endpointUrl": rgw.url, "destinationPath": f"s3://{rgw.make_bucket('entered')}"} | config
    return api.post("/api/destinations", {"teamId": team, "name": name, "config": place, "secrets": keys_of(rgw)})


@pytest.mark.parametrize("config, endpoint", [
    ({"provider": "r2", "accountId": "0a1b"}, "https://0a1b.r2.cloudflarestorage.com"),
    ({"provider": "r2", "accountId": "0a1b", "jurisdiction": "eu"}, "https://0a1b.eu.r2.cloudflarestorage.com"),
    ({"provider": "backblaze", "region": "us-west-004"}, "https://s3.us-west-004.backblazeb2.com"),
])
def test_the_endpoint_is_made_from_what_the_provider_says(api, team, config, endpoint):
    answer = api.raw("POST", "/api/destinations", {"teamId": team, "name": "derived", "secrets": {"accessKey": "a", "secretKey": "b"},
                                                   "config": {"destinationPath": "s3://bucket"} | config})
    assert answer.status == 503 or answer.status == 400, answer
    assert endpoint.removeprefix("https://") in answer.body["detail"], answer


def test_a_provider_says_what_it_needs(api, team):
    def named(config):
        body = {"teamId": team, "name": "x", "config": {"destinationPath": "s3://bucket"} | config,
                "secrets": {"accessKey": "a", "secretKey": "b"}}
        answer = api.raw("POST", "/api/destinations", body)
        assert answer.status == 400, answer
        return {error["pointer"] for error in answer.body["errors"]}
    assert named({"provider": "r2"}) == {"/config/accountId"}
    assert named({"provider": "minio"}) == {"/config/endpointUrl"}
    assert named({"provider": "backblaze"}) == {"/config/region"}
    assert named({"provider": "tape"}) == {"/config/provider"}


def test_a_destination_is_changed_and_never_tells_its_secret(api, team, rgw):
    made = enter(api, team, rgw, "before", provider="custom")
    path = f"/api/destinations/{made['id']}"
    assert made["provider"] == "custom" and made["pathStyle"]
    renamed = api.patch(path, {"name": "after"})
    assert renamed["name"] == "after" and "checks" not in renamed
    refused = api.raw("PATCH", path, {"secrets": {"secretKey": "not-the-key"}})
    assert refused.status == 400 and refused.body["code"] == "store_access_denied", refused
    assert [error["pointer"] for error in refused.body["errors"]] == ["/secrets/secretKey"]
    assert {**api.get(path), "checks": None} == {**renamed, "checks": None}, "nothing was changed"
    bucket = rgw.make_bucket("moved")
    move = {"config": {"destinationPath": f"s3://{bucket}/here"}, "isDefault": False}
    refused = api.raw("PATCH", path, move)
    assert refused.status == 400, refused
    assert {error["pointer"] for error in refused.body["errors"]} == {"/secrets/accessKey", "/secrets/secretKey"}
    moved = api.patch(path, move | {"secrets": keys_of(rgw)})
    assert moved["url"] == f"s3://{bucket}/here" and moved["provider"] == "custom"
    assert rgw.secret_key not in str([made, renamed, moved, api.get("/api/destinations")])
    assert api.raw("PATCH", path, {"name": "x"}, headers={"If-Match": '"another"'}).status == 412
    api.delete(path)
    assert api.raw("GET", path).status == 404


def test_keys_that_are_changed_at_the_destination_reach_what_runs(api, team, rgw):
    old, new = rgw.make_key_pair(), rgw.make_key_pair()
    place = {"endpointUrl": rgw.url, "destinationPath": f"s3://{rgw.make_bucket('changed-keys')}"}
    made = api.post("/api/destinations", {"teamId": team, "name": "changed keys", "config": place, "secrets": old})
    body = bodies.service(team, "changed-keys", bodies.new_password())
    deployed = deploy(api, body | {"backups": bodies.backups({"config": {"destinationId": made["id"]}})})
    api.wait_for_backup(deployed.id)
    api.patch(f"/api/destinations/{made['id']}", {"secrets": new})
    rgw.revoke_key_pair(old)
    moment = deployed.now()
    window = f"/api/managed-services/{deployed.id}/recovery-window"
    wait_for("WAL is archived with the new keys", lambda: api.get(window)["latest"] > moment, 60)
    deployed.backup()

    refused = api.raw("PATCH", f"/api/destinations/{made['id']}", {
        "config": {"destinationPath": f"s3://{rgw.make_bucket('empty')}"}, "secrets": new})
    assert refused.status == 409 and "changed-keys" in refused.body["detail"], refused
    refused = api.raw("DELETE", f"/api/destinations/{made['id']}")
    assert refused.status == 409 and "the service 'changed-keys'" in refused.body["detail"], refused
    api.delete(f"/managed-services/{deployed.id}?finalBackup=skip")


def test_a_destination_follows_its_repository_to_another_place(api, team, shared_server):
    before = shared_server.state_dir / "stores" / "before"
    place = api.post("/api/destinations", {"teamId": team, "name": "moving", **bodies.directory_store(shared_server.state_dir, "before")})
    source = deploy(api, bodies.service(team, "moving", bodies.new_password()))
    source.database().sql("CREATE TABLE kept (i int)")
    entry = api.post(f"/managed-services/{source.id}/backups", {"destinationId": place["id"]})
    api.wait_for_backup(source.id, entry["id"])
    shutil.copytree(before, before.with_name("after"))
    before.with_name("empty").mkdir()
    path = f"/api/destinations/{place['id']}"

    def move(name):
        return api.raw("PATCH", path, {"config": {"destinationPath": f"file://{before.with_name(name)}"}})
    refused = move("empty")
    assert refused.status == 409 and refused.body["errors"][0]["pointer"] == "/config/destinationPath", refused
    moved = move("after")
    assert moved.status == 200 and moved.body["url"].endswith("/after"), moved
    before.rename(before.with_name("gone"))
    copy = deploy(api, bodies.service(team, "moved", bodies.new_password(), recoverFrom={"id": entry["id"]}))
    assert copy.database().tables() == ["kept"]
