"""Work that is cancelled ends soon, says so, and leaves nothing running."""
import pytest
from conftest import deploy
from test_crashes import ENDED, filled, open_operation

from support import bodies
from support.server import processes_below
from support.waiting import wait_for


def cancel_in(api, operation_id: str, phase: str) -> dict:
    """Cancels the operation as soon as it is in the phase; how it ended."""
    def there():
        operation = api.operation(operation_id)
        assert operation["state"] not in ENDED, f"it ended before it was seen in '{phase}'"
        return operation.get("progress", {}).get("phase") == phase
    wait_for(f"operation {operation_id} in '{phase}'", there, 120, interval=0.003)
    api.post(f"/api/operations/{operation_id}/cancel")
    return api.wait_for_operation(operation_id, 60)


@pytest.fixture(scope="module")
def source(shared_server):
    return filled(shared_server, 100)


def test_a_recovery_is_cancelled_and_undone(source, shared_server):
    api = source.api
    before = source.database().fingerprints()
    body = bodies.service(source.body["teamId"], "given-up", bodies.new_password()) | {
        "recoverFrom": bodies.recover(source.store, msId=source.id, time=source.now())}
    recovered = deploy(api, body, wait=False)
    running = set(processes_below(shared_server.state_dir).values())
    ended = cancel_in(api, recovered.created["operationId"], "restore")
    assert ended["state"] == "cancelled"
    assert set(processes_below(shared_server.state_dir).values()) <= running, "nothing of it runs"
    assert "cancelled" in api.events_text(recovered.id)
    api.delete(f"/managed-services/{recovered.id}")
    assert source.database().fingerprints() == before


def test_a_backup_is_cancelled_and_the_next_one_works(source):
    api = source.api
    entry = api.post(f"/managed-services/{source.id}/backups")
    ended = cancel_in(api, open_operation(api, source.id, "backup"), "copy")
    assert ended["state"] == "cancelled"
    (backup,) = [backup for backup in api.backups(source.id) if backup["id"] == entry["id"]]
    assert backup["state"] == "failed" and "cancelled" in backup["error"]
    source.backup()
