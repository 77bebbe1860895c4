"""Backups are deleted beside a running service, and nothing that is still wanted is missing afterwards."""
import json
import os
import re
import subprocess

import pytest
from conftest import deploy

from support import bodies
from support.waiting import wait_for


@pytest.fixture
def kept(new_server, rgw):
    """A running service with three backups in an S3 store."""
    server = new_server("prune").start()
    api = server.api()
    team = api.get("/teams")[0]["id"]
    bucket = rgw.make_bucket("prune")
    deployed = deploy(api, bodies.service(team, "kept", bodies.new_password(), bodies.s3_store(rgw, bucket, "pg")))
    backups = [api.wait_for_backup(deployed.id)["id"]]
    deployed.database().sql(bodies.WELL_FILLED)
    backups += [deployed.backup()["id"] for _ in range(2)]
    key = re.search(r"bsk1-[A-Za-z0-9-]+", api.post(f"/api/teams/{team}/recovery-kit")["text"])[0]
    yield deployed, backups, bucket, key
    server.stop()


@pytest.fixture
def repository(program, kept, rgw, tmp_path):
    _, _, bucket, key = kept
    key_file = tmp_path / "key"
    key_file.write_text(key + "\n")
    key_file.chmod(0o600)

    def run(*arguments, code: int = 0):
        done = subprocess.run([str(program), "repository", *arguments, "--store", f"s3://{bucket}/pg", "--endpoint-url", rgw.url,
                               "--key-file", str(key_file), "-o", "json"], capture_output=True, text=True, timeout=300,
                              env={**os.environ, "AWS_ACCESS_KEY_ID": rgw.access_key, "AWS_SECRET_ACCESS_KEY": rgw.secret_key})
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout) if code == 0 else done.stderr
    return run


def listed(repository) -> set:
    (instance,) = repository("list")
    return {backup["id"] for backup in instance["backups"]}


def test_a_deleted_backup_goes_with_its_packs_and_the_rest_stays(kept, repository, rgw):
    deployed, backups, bucket, _ = kept
    packs = sum("/packs/" in key for key in rgw.keys(bucket))
    said = repository("delete-backup", "--instance", "kept", "--backup", backups[1], "--dry-run")
    assert [step["action"] for step in said["steps"]] == ["condemn backup"]
    assert listed(repository) == set(backups)

    repository("delete-backup", "--instance", "kept", "--backup", backups[1])
    assert listed(repository) == {backups[0], backups[2]}
    assert any(backups[1] in key for key in rgw.keys(bucket)), "it is hidden, and still there"
    deployed.database().sql(bodies.CHANGED_SINCE)

    def pruned():
        # The store tells some times to the second only, so that a mark may seem to come from the future for a moment.
        repository("prune", "--grace-hours", "0")
        keys = rgw.keys(bucket)
        return not any(backups[1] in key for key in keys) and sum("/packs/" in key for key in keys) < packs
    wait_for("the deleted backup and its packs are gone", pruned, 60)
    assert repository("verify")["ok"]

    fingerprints, moment = deployed.database().fingerprints(), deployed.now()
    wait_for("the store has everything",
             lambda: deployed.api.get(f"/api/managed-services/{deployed.id}/recovery-window")["latest"] > moment, 60)
    body = {key: value for key, value in deployed.body.items() if key != "backups"}
    recovered = deploy(deployed.api, body | {"name": "again", "recoverFrom": bodies.recover(deployed.store, msId=deployed.id, time=moment)})
    assert recovered.database().fingerprints() == fingerprints


def test_the_last_confirmed_backup_is_not_deleted(kept, repository):
    _, backups, _, _ = kept
    for backup in backups[:2]:
        repository("delete-backup", "--instance", "kept", "--backup", backup)
    assert "last confirmed backup" in repository("delete-backup", "--instance", "kept", "--backup", backups[2], code=1)
    assert listed(repository) == {backups[2]}


def test_young_backups_stay_whatever_is_asked(kept, repository):
    _, backups, _, _ = kept
    said = repository("prune", "--retention-days", "1", "--keep-last", "1", "--grace-hours", "0")
    assert {backup["backup"] for backup in said["backups"] if backup["stays"]} == set(backups)
    assert listed(repository) == set(backups)
