"""The keys of a store are exchanged under a running service, and the old ones revoked."""
from conftest import deploy

from support import bodies
from support.waiting import wait_for


def test_new_keys_of_the_store_take_over_and_the_old_ones_may_go(api, team, rgw):
    old, new = rgw.make_key_pair(), rgw.make_key_pair()
    store = bodies.s3_store(rgw, rgw.make_bucket("rotated"), "pg/") | {"secrets": old}
    rotated = deploy(api, bodies.service(team, "rotated-keys", bodies.new_password(), store))
    api.wait_for_backup(rotated.id)
    change = api.patch(f"/managed-services/{rotated.id}", {"backups": {"config": store["config"], "secrets": new}})
    assert api.wait_for_operation(change["operationId"])["state"] == "succeeded"
    rgw.revoke_key_pair(old)
    rotated.backup()
    moment = rotated.now()
    window = f"/api/managed-services/{rotated.id}/recovery-window"
    wait_for("WAL is archived with the new keys", lambda: api.get(window)["latest"] > moment, 60)
    api.delete(f"/managed-services/{rotated.id}?finalBackup=skip")
