"""Losing the control plane loses nothing: from the destination and the recovery key alone."""
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import deploy

from support import bodies
from support.database import Database
from support.rgw import free_ports
from support.server import make_state_directory, processes_below
from support.waiting import wait_for


@pytest.fixture
def orphaned(new_server, rgw):
    """A store with a service's backups, its recovery key, and what the database held. Nothing else is left."""
    server = new_server("orphaned").start()
    api = server.api()
    team = api.get("/teams")[0]["id"]
    bucket = rgw.make_bucket("orphan")
    deployed = deploy(api, bodies.service(team, "orphan", bodies.new_password(), bodies.s3_store(rgw, bucket, "pg")))
    deployed.database().sql(bodies.WELL_FILLED)
    api.wait_for_backup(deployed.id)
    backup = deployed.backup()
    deployed.database().sql(bodies.CHANGED_SINCE)
    fingerprints, moment = deployed.database().fingerprints(), deployed.now()
    kit = api.post(f"/api/teams/{team}/recovery-kit")["text"]

    def reached():
        return api.get(f"/api/managed-services/{deployed.id}/recovery-window")["latest"] > moment
    from support.waiting import wait_for
    wait_for("the store has everything", reached, 60)
    server.stop()
    server.destroy()
    assert not server.home.exists()
    return {"store": f"s3://{bucket}/pg", "key": re.search(r"bsk1-[A-Za-z0-9-]+", kit)[0], "backup": backup["id"],
            "fingerprints": fingerprints, "moment": moment, "rgw": rgw, "database": deployed.body}


@pytest.fixture
def offline(program, orphaned, tmp_path):
    """Runs `backstay repository …` with the key in a file and the store's keys in the environment."""
    key = tmp_path / "recovery-key"
    key.write_text(orphaned["key"] + "\n")
    key.chmod(0o600)

    def run(*arguments, code: int = 0, key_file: Path = key):
        done = subprocess.run([str(program), "repository", *map(str, arguments), "--store", orphaned["store"], "--endpoint-url",
                               orphaned["rgw"].url, "--key-file", str(key_file), "-o", "json"], capture_output=True, text=True, timeout=300,
                              env={**os.environ, "AWS_ACCESS_KEY_ID": orphaned["rgw"].access_key,
                                   "AWS_SECRET_ACCESS_KEY": orphaned["rgw"].secret_key})
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout) if code == 0 else done.stderr
    return run


def test_list_verify_and_restore_from_the_store_and_the_key_alone(orphaned, offline, tmp_path):
    (instance,) = offline("list")
    assert instance["name"] == "orphan"
    assert orphaned["backup"] in [backup["id"] for backup in instance["backups"]]
    assert instance["earliest"] < orphaned["moment"] < instance["latest"]
    whole = offline("verify")
    assert whole["ok"] and whole["backups"] == 2 and not whole["orphans"] and not whole["warnings"]
    assert all(kind["bytesRead"] == kind["bytes"] for kind in whole["kinds"])
    assert offline("verify", "--sample", "10%")["ok"]
    assert all(report["ok"] for report in offline("verify", "--instance", "orphan"))

    home = make_state_directory("offline")
    try:
        offline("restore", "--instance", "orphan", "--target-time", orphaned["moment"], "--directory", home / "instance", "--recover",
                "--start", "--port", free_ports(1)[0])
        (pid_file,) = (home / "instance").rglob("postmaster.pid")
        port = int(pid_file.read_text().splitlines()[3])
        database = Database("127.0.0.1", port, "app", "app", orphaned["database"]["secrets"]["password"], sslmode="prefer")
        assert database.fingerprints() == orphaned["fingerprints"]
    finally:
        for pid in processes_below(home):
            os.kill(pid, 9)
        shutil.rmtree(home, ignore_errors=True)


def test_another_repositorys_key_opens_nothing(program, offline, tmp_path):
    key, store = tmp_path / "other-key", tmp_path / "store"
    store.mkdir()
    subprocess.run([str(program), "repository", "init", "--store", f"file://{store}", "--key-file", str(key)], check=True,
                   capture_output=True)
    error = offline("list", code=1, key_file=key)
    assert "key" in error and key.read_text().strip() not in error


def test_a_mistyped_key_is_noticed_before_the_store_is_asked(offline, tmp_path):
    key = tmp_path / "mistyped-key"
    key.write_text("bsk1-AAAAAAAA\n")
    assert "seven groups" in offline("list", code=1, key_file=key)


def test_damage_in_the_store_is_found(orphaned, offline):
    """One bit of one pack."""
    rgw, bucket = orphaned["rgw"], orphaned["store"].split("/")[2]
    listing = rgw.request("GET", f"/{bucket}", {"list-type": "2", "prefix": "pg/packs/"}).decode()
    pack = "/" + bucket + "/" + re.findall("<Key>(.*?)</Key>", listing)[0]
    content = bytearray(rgw.request("GET", pack))
    content[len(content) // 2] ^= 1
    rgw.request("PUT", pack, body=bytes(content))
    offline("verify", code=6)
