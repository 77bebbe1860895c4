"""A store that stays away until the server may keep no more WAL for it: the database goes on, the gap is shown, and a backup
ends it when the store is back."""
import os

import pytest
from conftest import deploy

from support import bodies
from support.api import ApiError
from support.faults import small_disk
from support.load import Writer
from support.waiting import wait_for

DISK = 1400  # MiB: half of what is free of it is what the server may keep, and that is more than the least there is


def window_of(deployed) -> dict:
    return deployed.api.get(f"/api/managed-services/{deployed.id}/recovery-window")


def recover_to(deployed, name: str, moment: str):
    return deploy(deployed.api, bodies.service(deployed.body["teamId"], name, bodies.new_password()) |
                  {"recoverFrom": bodies.recover(deployed.store, msId=deployed.id, time=moment)})


@pytest.mark.nightly
@pytest.mark.skipif(os.geteuid() != 0, reason="disks are mounted by root only")
@pytest.mark.parametrize("killed", [False, True], ids=["", "killed"])
def test_a_gap_is_shown_bounded_and_closed(new_server, rgw, killed):
    server = new_server("gap", {"BACKSTAY_POSTGRES_LOOK_SECONDS": "2"})
    services = server.home / "services"
    with small_disk(services, DISK):
        services.chmod(0o711)
        server.environment["BACKSTAY_SERVER_SERVICES_DIR"] = str(services)
        try:
            see_a_gap(server, rgw, services, killed)
        finally:
            server.destroy()


def see_a_gap(server, rgw, services, killed) -> None:
    api = server.start().api()
    deployed = deploy(api, bodies.service(api.get("/teams")[0]["id"], "gapped", bodies.new_password(),
                                          bodies.s3_store(rgw, rgw.make_bucket("gapped"))))
    api.wait_for_backup(deployed.id)
    kept = int(deployed.database().sql("SELECT setting FROM pg_settings WHERE name = 'max_slot_wal_keep_size'"))
    assert 512 <= kept < DISK / 2
    with Writer(deployed.database()) as writer:
        rows_before = int(deployed.database().sql("SELECT count(*) FROM promises"))
        before = deployed.now()
        wait_for("it is archived", lambda: window_of(deployed)["latest"] > before, 60)
        rgw.stop_gateway()
        try:
            deployed.database().sql("CREATE TABLE filler (t text)")
            written = 0
            while "wal.gap:" not in api.events_text(deployed.id):
                assert written < 2 * kept, api.events_text(deployed.id)
                deployed.database().sql("INSERT INTO filler SELECT repeat(md5(i::text), 30) FROM generate_series(1, 32000) AS i; "
                                        "TRUNCATE filler")
                written += 32
            inside = deployed.now()
            wait_for("it is shown", lambda: any(p["fault"] == "gap" for p in window_of(deployed)["chain"]["problems"]), 60)
            writer.wait_for_more(100)
            pg_wal = sum(path.stat().st_size for path in services.rglob("pg_wal/0*") if path.is_file())
            # What is above the limit goes at the next checkpoint, which as much WAL brings at the latest.
            assert pg_wal < (kept + 540) << 20, "what the server keeps is bounded"
            taken = [backup for backup in api.backups(deployed.id) if backup["origin"] == "safety"]
            assert not taken, "while the store takes nothing, no backup is tried"
            if killed:
                server.kill()
                writer.wait_for_more(100)
                api = deployed.api = server.start().api()
        finally:
            rgw.start_gateway()
        assert not writer.refused, "the database never stopped"
        window = wait_for("the window is open again", lambda: (lambda w: w if w["gaps"] and w["latest"] > w["gaps"][-1]["to"] else None)(
            window_of(deployed)), 180)
        wait_for("an event says so", lambda: "wal.gap_ended" in api.events_text(deployed.id), 60)
        writer.wait_for_more(100)
        writer.stop()
        after = deployed.now()
        wait_for("the latest is archived", lambda: window_of(deployed)["latest"] > after, 60)
    wait_for("the chain is intact", lambda: window_of(deployed)["chain"]["intact"], 60)
    (gap,) = window["gaps"]
    assert gap["from"] < inside < gap["to"] and gap["reason"]
    (safety,) = [backup for backup in api.backups(deployed.id) if backup["origin"] == "safety"]
    assert safety["incremental"], safety.get("fullReason")

    refused = pytest.raises(ApiError, recover_to, deployed, "never", inside)
    text = str(refused.value)
    assert refused.value.answer.body["code"] == "recovery_out_of_reach" and "gap" in text
    assert gap["from"][:19] in text and gap["to"][:19] in text, "the nearest times are named"
    assert int(recover_to(deployed, "of-before", before).database().sql("SELECT count(*) FROM promises")) >= rows_before
    writer.check(recover_to(deployed, "of-after", after).database())
