"""Backups that a provider's backend holds, deleted by hand."""
import secrets

import pytest

from support.backend import FakeBackend
from support.providers import definition, service
from support.waiting import wait_for

STORE = {"config": {"bucket": "b"}, "secrets": {"key": "store-key"}}


@pytest.fixture
def backend():
    fake = FakeBackend()
    yield fake
    fake.close()
    assert fake.complaints == []


def confirmed(api, backend, made: str) -> str:
    """A further backup that the backend says it has."""
    before = {entry["id"] for entry in api.backups(made) if entry.get("confirmedAt")}
    if before:
        api.post(f"/managed-services/{made}/backups")
    new = wait_for("the order", lambda: next(iter(backend.backups.keys() - before), None), 30)
    backend.backups[new] = {"exists": True}
    api.wait_for_backup(made, new, 60)
    return new


def test_a_backup_is_deleted_at_its_backend_but_not_the_last_good_one(api, team, backend):
    name = "d" + secrets.token_hex(6)
    api.post("/managed-services/providers", definition(name, backend.url, backend.KEY))
    made = api.post("/managed-services", service(team, "s-" + secrets.token_hex(6), name, backups={
        "enabled": True, "intervalH": 24, "deleteRetentionDays": 7, **STORE}))["id"]
    api.wait_for_state(made, "synchronized", 60)
    first = confirmed(api, backend, made)
    refused = api.raw("DELETE", f"/api/backups/{first}")
    assert refused.status in (400, 409) and refused.body["code"] == "conflict", refused
    second = confirmed(api, backend, made)
    confirmed(api, backend, made)
    api.delete(f"/api/backups/{second}")
    wait_for("the backend has removed it", lambda: second not in backend.backups, 30)
    wait_for("it is not listed any more", lambda: second not in {entry["id"] for entry in api.backups(made)}, 30)
    assert first in backend.backups
    api.delete(f"/managed-services/{made}?finalBackup=skip")
