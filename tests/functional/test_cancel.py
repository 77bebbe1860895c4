"""Work that is cancelled ends soon, says so, and leaves nothing running."""
from contextlib import contextmanager

import pytest
from conftest import deploy
from test_crashes import filled, open_operation

from support import bodies
from support.server import processes_below
from support.store_proxy import Stall, StoreProxy
from support.waiting import wait_for


def cancel_when_stalled(api, proxy, operation_id: str, phase: str) -> dict:
    """Cancels the operation as soon as it waits for the store; how it ended."""
    wait_for("a request that stalls", lambda: proxy.done, 120, interval=0.01)
    assert api.operation(operation_id)["progress"]["phase"] == phase
    api.post(f"/api/operations/{operation_id}/cancel")
    return api.wait_for_operation(operation_id, 30)


@pytest.fixture(scope="module")
def proxy(rgw):
    with StoreProxy(rgw) as made:
        yield made


@pytest.fixture(scope="module")
def source(shared_server, proxy, rgw):
    return filled(shared_server, 100, bodies.s3_store(proxy, rgw.make_bucket("cancelled")))


@contextmanager
def packs_stall(proxy, method: str):
    """What is at work cannot end by itself: the store answers no request for a pack."""
    proxy.done.clear()
    proxy.fault = lambda request: Stall(600) if request.method == method and "/packs/" in request.path else None
    try:
        yield
    finally:
        proxy.fault = None


def test_a_recovery_is_cancelled_and_undone(source, shared_server, proxy):
    api = source.api
    before = source.database().fingerprints()
    body = bodies.service(source.body["teamId"], "given-up", bodies.new_password()) | {
        "recoverFrom": bodies.recover(source.store, msId=source.id, time=source.now())}
    running = set(processes_below(shared_server.state_dir).values())
    with packs_stall(proxy, "GET"):
        recovered = deploy(api, body, wait=False)
        ended = cancel_when_stalled(api, proxy, recovered.created["operationId"], "restore")
    assert ended["state"] == "cancelled"
    assert set(processes_below(shared_server.state_dir).values()) <= running, "nothing of it runs"
    assert "cancelled" in api.events_text(recovered.id)
    api.delete(f"/managed-services/{recovered.id}")
    assert source.database().fingerprints() == before


def test_a_backup_is_cancelled_and_the_next_one_works(source, proxy):
    api = source.api
    source.database().sql("CREATE TABLE to_be_copied AS SELECT i FROM generate_series(1, 1000) i")
    with packs_stall(proxy, "PUT"):
        entry = api.post(f"/managed-services/{source.id}/backups")
        ended = cancel_when_stalled(api, proxy, open_operation(api, source.id, "backup"), "copy")
    assert ended["state"] == "cancelled"
    (backup,) = [backup for backup in api.backups(source.id) if backup["id"] == entry["id"]]
    assert backup["state"] == "failed" and "cancelled" in backup["error"]
    source.backup()
