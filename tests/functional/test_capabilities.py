"""What a provider cannot do is refused with its place, and so is a backup where backups are off."""
import secrets

import pytest

from support.backend import FakeBackend
from support.providers import definition, service

STORE = {"config": {"bucket": "b"}, "secrets": {"key": "store-key"}}


@pytest.fixture(scope="module")
def unable(shared_server, team):
    """A service of a provider without any capability."""
    api, fake, name = shared_server.api(), FakeBackend(), "u" + secrets.token_hex(6)
    body = definition(name, fake.url, fake.KEY) | {
        "capabilities": {"pause": False, "backups": False, "pointInTimeRecovery": False}}
    del body["backups"]
    api.post("/managed-services/providers", body)
    made = api.post("/managed-services", service(team, "s-" + secrets.token_hex(6), name))["id"]
    api.wait_for_state(made, "synchronized", 60)
    yield f"/managed-services/{made}"
    api.delete(f"/managed-services/{made}")
    fake.close()


@pytest.mark.parametrize("method, path, body, code, pointers", [
    ("PATCH", "", {"pause": True}, "invalid_argument", ["/pause"]),
    ("PATCH", "", {"backups": {"enabled": True, "intervalH": 24, "deleteRetentionDays": 7, **STORE}},
     "invalid_argument", ["/backups/enabled"]),
    ("POST", "/backups", None, "conflict", []),
], ids=["pause", "backups", "a backup now"])
def test_what_the_provider_cannot_do_is_refused(api, unable, method, path, body, code, pointers):
    answer = api.raw(method, unable + path, body)
    assert answer.status == 400 and answer.body["code"] == code, answer
    assert [error["pointer"] for error in answer.body.get("errors", [])] == pointers
    kept = api.get(unable)
    assert kept["status"]["state"] == "synchronized" and not kept.get("pause")


def test_a_new_service_with_backups_is_refused(api, team, unable):
    provider = api.get(unable)["provider"]["name"]
    answer = api.raw("POST", "/managed-services", service(
        team, "never-made", provider, backups={"enabled": True, "intervalH": 24, "deleteRetentionDays": 7, **STORE}))
    assert answer.status == 400
    assert [error["pointer"] for error in answer.body["errors"]] == ["/backups/enabled"]
