"""Where backups go: every way to name a store, and what a request is told of one that cannot be used."""
import pytest

from support import bodies
from support.api import Api


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
