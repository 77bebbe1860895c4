"""Deleting with backups on: a final backup first, and back again as long as the record is kept."""
from conftest import deploy

import pytest
from support import bodies
from support.api import ApiError
from support.waiting import wait_for


def deleted(api, service_id: str, query: str = "", seconds: float = 120) -> dict:
    answer = api.delete(f"/managed-services/{service_id}{query}")
    assert answer["status"]["state"] in ("deleting", "deleted") and answer["status"]["deletedAt"]
    ended = api.wait_for_operation(answer["operationId"], seconds)
    assert ended["state"] == "succeeded", ended
    return answer


def listed(api, include_deleted: bool) -> list:
    return [service["id"] for service in api.get(f"/managed-services?includeDeleted={str(include_deleted).lower()}")]


def test_a_deleted_service_comes_back_with_its_last_write(server, api, team):
    body = bodies.service(team, "leaver", bodies.new_password(), bodies.directory_store(server.state_dir, "leaver"))
    leaver = deploy(api, body)
    api.wait_for_backup(leaver.id)
    leaver.database().sql(bodies.WELL_FILLED)
    before = leaver.database().fingerprints()
    details = leaver.api.details(leaver.id)
    deleted(api, leaver.id)

    assert leaver.id not in listed(api, False) and leaver.id in listed(api, True)
    resource = leaver.resource()
    assert resource["status"]["state"] == "deleted"
    final = [backup for backup in api.backups(leaver.id) if backup["origin"] == "final"]
    assert len(final) == 1 and final[0]["confirmedAt"]
    with pytest.raises(OSError):
        import socket
        socket.create_connection((details["hostname"], details["port"]), 5)

    api.post(f"/api/managed-services/{leaver.id}/undelete")
    api.wait_for_state(leaver.id, "synchronized")
    assert leaver.resource()["name"] == "leaver" and leaver.id in listed(api, False)
    assert leaver.database().fingerprints() == before
    # It is a service like any other: it archives, and what it writes now can be recovered.
    api.wait_for_backup(leaver.id, leaver.backup()["id"])
    leaver.database().sql("CREATE TABLE back_again (id int); INSERT INTO back_again VALUES (1)")
    again = leaver.database().fingerprints()
    copy = deploy(api, {key: value for key, value in body.items() if key != "backups"} |
                  {"name": "leaver-copy", "recoverFrom": bodies.recover(leaver.store, msId=leaver.id)})
    assert copy.database().fingerprints() == again


def test_without_a_store_the_data_stays_until_told_otherwise(own_server):
    api = own_server.api()
    team = api.get("/teams")[0]["id"]
    place = own_server.state_dir / "stores" / "stuck"
    stuck = deploy(api, bodies.service(team, "stuck", bodies.new_password(), bodies.directory_store(own_server.state_dir, "stuck")))
    api.wait_for_backup(stuck.id)
    stuck.database().sql(bodies.WELL_FILLED)
    before = stuck.database().fingerprints()
    place.rename(place.with_name("elsewhere"))
    answer = api.delete(f"/managed-services/{stuck.id}")
    with pytest.raises(ApiError) as busy:
        api.post(f"/api/managed-services/{stuck.id}/undelete")
    assert "wait" in busy.value.answer.body["hint"]
    assert stuck.database().fingerprints() == before, "it serves until the final backup is there"
    place.with_name("elsewhere").rename(place)
    assert api.wait_for_operation(answer["operationId"], 180)["state"] == "succeeded"
    assert stuck.resource()["status"]["state"] == "deleted"


def test_a_deletion_that_waits_for_its_store_goes_on_when_it_is_told_to(own_server):
    api = own_server.api()
    team = api.get("/teams")[0]["id"]
    waits = deploy(api, bodies.service(team, "waits", bodies.new_password(), bodies.directory_store(own_server.state_dir, "waits")))
    api.wait_for_backup(waits.id)
    place = own_server.state_dir / "stores" / "waits"
    place.rename(place.with_name("elsewhere"))
    deleting = api.delete(f"/managed-services/{waits.id}")["operationId"]
    wait_for("an attempt that failed", lambda: api.get(f"/api/events?serviceId={waits.id}&name=operation.retrying"), 60)
    told = api.delete(f"/managed-services/{waits.id}?finalBackup=best-effort&dryRun=true")["effects"]
    assert len(told) == 1 and "the data goes in any case" in told[0]
    assert api.delete(f"/managed-services/{waits.id}?finalBackup=skip")["operationId"] == deleting
    assert api.wait_for_operation(deleting, 60)["state"] == "succeeded"
    lost = api.get(f"/api/events?serviceId={waits.id}&name=backup.failed")
    assert len(lost) == 1 and "deleted all the same" in lost[0]["body"], "what was lost is said"


def test_a_deletion_may_skip_the_final_backup(server, api, team):
    hasty = deploy(api, bodies.service(team, "hasty", bodies.new_password(), bodies.directory_store(server.state_dir, "hasty")))
    api.wait_for_backup(hasty.id)
    with pytest.raises(ApiError) as refused:
        api.delete(f"/managed-services/{hasty.id}?finalBackup=maybe")
    assert refused.value.answer.status == 400
    deleted(api, hasty.id, "?finalBackup=skip")
    assert [backup["origin"] for backup in api.backups(hasty.id)] == ["scheduled"]


def test_undeleting_what_is_not_deleted_is_refused(shop):
    with pytest.raises(ApiError) as refused:
        shop.api.post(f"/api/managed-services/{shop.id}/undelete")
    assert refused.value.answer.status in (400, 409)
    assert "not deleted" in refused.value.answer.body["detail"]


def test_a_paused_service_is_backed_up_before_it_is_deleted(server, api, team):
    body = bodies.service(team, "sleeping", bodies.new_password(), bodies.directory_store(server.state_dir, "sleeping"))
    sleeping = deploy(api, body)
    api.wait_for_backup(sleeping.id)
    sleeping.database().sql(bodies.WELL_FILLED)
    before = sleeping.database().fingerprints()
    api.patch(f"/managed-services/{sleeping.id}", {"pause": True})
    api.wait_for_state(sleeping.id, "paused")
    deleted(api, sleeping.id)
    assert [backup for backup in api.backups(sleeping.id) if backup["origin"] == "final" and backup.get("confirmedAt")]
    api.post(f"/api/managed-services/{sleeping.id}/undelete")
    assert api.wait_for_state(sleeping.id, "synchronized")["pause"] is False
    assert sleeping.database().fingerprints() == before
