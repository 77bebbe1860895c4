"""Logical backups: a dump that is taken, had as SQL, and recovered from."""
import json
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

from conftest import Deployed, deploy

from support import bodies


def logical_backup(source: Deployed) -> dict:
    entry = source.api.post(f"/managed-services/{source.id}/backups", {"mechanism": "logical"})
    return source.api.wait_for_backup(source.id, entry["id"])


def plain(source: Deployed, name: str, **more) -> dict:
    return {key: value for key, value in source.body.items() if key != "backups"} | {"name": name} | more


def scratch_of(server) -> list:
    return list((server.state_dir / "scratch").glob("*"))


def test_a_dump_becomes_a_database_again_in_four_ways(shop, server, program, tmp_path):
    before = shop.database().dump()
    backup = logical_backup(shop)
    assert backup["mechanism"] == "logical" and backup["state"] == "completed" and backup["origin"] == "manual"
    assert backup["takenAt"] <= backup["storedAt"] <= backup["confirmedAt"] and "startLsn" not in backup
    assert backup["dataBytes"] > backup["storedBytes"] > 0

    # As SQL over HTTP.
    answer = shop.api.raw("GET", f"/api/backups/{backup['id']}/dump")
    assert answer.status == 200, answer.body
    assert answer.headers["Content-Type"] == "application/sql"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="shop-')
    noted = shop.api.get(f"/api/audit?operation=backups-dump&objectId={backup['id']}")
    assert [(entry["method"], entry["status"]) for entry in noted] == [("GET", 200)] and noted[0]["token"]["id"]
    fresh = deploy(shop.api, plain(shop, "shop-from-sql"))
    fresh.database().sql(answer.body)
    assert fresh.database().dump() == before

    # As a file by the command line.
    file = tmp_path / "shop.sql"
    done = subprocess.run([program, "backups", "download", backup["id"], "-o", file, "--state-dir", server.state_dir],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert [line for line in file.read_text().splitlines() if "restrict " not in line] == \
        [line for line in answer.body.splitlines() if "restrict " not in line]

    # From the store and the key alone.
    key = tmp_path / "key"
    key.write_text(re.search(r"bsk1-[A-Za-z0-9-]+", shop.api.post(f"/api/teams/{shop.body['teamId']}/recovery-kit")["text"])[0])
    key.chmod(0o600)
    where = ["--store", shop.store["config"]["destinationPath"], "--key-file", key]
    offline = tmp_path / "offline.sql"
    left = tmp_path / "offline.sql.scratch"
    (left / "of-a-killed-call").mkdir(parents=True)
    (left / "of-a-killed-call" / "toc.dat").write_text("rows")
    done = subprocess.run([program, "repository", "dump", *where, "--instance", "shop", "--backup", backup["id"], "--file", offline],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert not left.exists() and not list(tmp_path.glob("*.part"))
    assert [line for line in offline.read_text().splitlines() if "restrict " not in line] == \
        [line for line in answer.body.splitlines() if "restrict " not in line]
    done = subprocess.run([program, "repository", "list", *where, "-o", "json"], capture_output=True, text=True, timeout=60)
    assert {"logical", "physical"} <= {one["mechanism"] for instance in json.loads(done.stdout) for one in instance["backups"]}

    # As a service.
    wanted = plain(shop, "shop-from-dump", recoverFrom=bodies.recover(shop.store, id=backup["id"]))
    told = shop.api.post("/api/recoveries?dryRun=true", wanted)
    assert told["forecast"]["backup"]["id"] == backup["id"] and told["forecast"]["restoreBytes"] == backup["dataBytes"]
    assert deploy(shop.api, wanted).database().dump() == before
    assert scratch_of(server) == []


def test_a_token_downloads_one_dump_at_a_time(shop, server):
    dump = f"/api/backups/{logical_backup(shop)['id']}/dump"
    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(lambda _: shop.api.raw("GET", dump), range(8)))
    assert {answer.status for answer in answers} == {200, 429}, [answer.status for answer in answers]
    refused = next(answer for answer in answers if answer.status == 429)
    assert refused.body["code"] == "rate_limited" and int(refused.headers["Retry-After"]) > 0
    for _ in range(3):
        answer = shop.api.raw("GET", dump)
        assert answer.status == 200, answer.body
    assert scratch_of(server) == []


def test_a_dump_outlives_its_service(server, api, team):
    gone = deploy(api, bodies.service(team, "gone", bodies.new_password(), bodies.directory_store(server.state_dir, "gone")))
    gone.database().sql("CREATE TABLE kept AS SELECT 'still there' AS word")
    backup = logical_backup(gone)
    api.wait_for_operation(api.delete(f"/managed-services/{gone.id}?finalBackup=skip")["operationId"])
    answer = api.raw("GET", f"/api/backups/{backup['id']}/dump")
    assert answer.status == 200 and "still there" in answer.body and "PostgreSQL database dump complete" in answer.body


def test_the_next_one_stores_what_changed_only(shop):
    first = logical_backup(shop)
    second = logical_backup(shop)
    assert second["dataBytes"] >= first["dataBytes"] // 2
    assert second["storedBytes"] < first["storedBytes"] / 2 or second["storedBytes"] < 50_000


def test_what_cannot_be_is_refused_with_the_reason(shop):
    physical = shop.api.wait_for_backup(shop.id, shop.api.post(f"/managed-services/{shop.id}/backups")["id"])
    answer = shop.api.raw("GET", f"/api/backups/{physical['id']}/dump")
    assert answer.status == 400 and "is physical" in answer.body["detail"], answer.body
    answer = shop.api.raw("GET", "/api/backups/6f1c7c4e-6f0e-4a8e-9a53-0f8d8b0f1a11/dump")
    assert answer.status == 404
    answer = shop.api.raw("POST", f"/managed-services/{shop.id}/backups", {"mechanism": "magical"})
    assert answer.status == 400 and answer.body["errors"][0]["pointer"] == "/mechanism", answer.body
    wanted = plain(shop, "shop-with-logins", recoverFrom=bodies.recover(shop.store, id=logical_backup(shop)["id"]) | {"keepLogins": True})
    answer = shop.api.raw("POST", "/managed-services", wanted)
    assert answer.status == 400 and answer.body["errors"][0]["pointer"] == "/recoverFrom/keepLogins", answer.body
