"""What breaks the chain of backups and WAL is noticed, shown with its reason, counted, and mended where a backup mends it."""
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import deploy

from support import bodies
from support.api import ApiError
from support.load import Writer
from support.store_proxy import Refuse, Shift, StoreProxy
from support.waiting import wait_for


@pytest.fixture(scope="module")
def watched(new_server, rgw):
    """A service whose archive is looked at every other second, at a store that a proxy stands before."""
    server = new_server("watched", {"BACKSTAY_POSTGRES_LOOK_SECONDS": "2"}).start()
    with StoreProxy(rgw) as proxy:
        api, bucket = server.api(), rgw.make_bucket("watched")
        deployed = deploy(api, bodies.service(api.get("/teams")[0]["id"], "watched", bodies.new_password(),
                                              bodies.s3_store(proxy, bucket)))
        api.wait_for_backup(deployed.id)
        deployed.server, deployed.proxy, deployed.rgw, deployed.bucket = server, proxy, rgw, bucket
        yield deployed
        server.destroy()


def chain_of(deployed) -> dict:
    return deployed.api.get(f"/api/managed-services/{deployed.id}/recovery-window").get("chain", {"problems": []})


def wait_for_fault(deployed, fault: str) -> dict:
    """Within the minute that is promised."""
    return wait_for(f"{fault} is shown", lambda: next((p for p in chain_of(deployed)["problems"] if p["fault"] == fault), None), 60)


def wait_until_over(deployed, fault: str) -> None:
    wait_for(f"{fault} is over", lambda: all(p["fault"] != fault for p in chain_of(deployed)["problems"]), 60)


def metric(deployed, name: str) -> float:
    """Of what a look has found; the gauges are told after it."""
    def told() -> list[float]:
        lines = deployed.api.raw("GET", "/metrics").body.splitlines()
        return [float(line.split()[1]) for line in lines if line.startswith(f'{name}{{service="{deployed.id}"}}')]

    return wait_for(f"a value of {name}", told, 30)[0]


def wait_for_event(deployed, name: str) -> None:
    wait_for(f"the event {name}", lambda: name in deployed.api.events_text(deployed.id), 30)


def test_a_whole_chain_is_shown_as_intact(watched):
    chain = wait_for("a look", lambda: (lambda c: c if "checkedAt" in c else None)(chain_of(watched)), 30)
    assert chain["intact"] and abs(chain["storeClockOffsetSeconds"]) < 5
    assert metric(watched, "backstay_control_objects_missing") == metric(watched, "backstay_control_wal_slot_stalled") == 0
    assert metric(watched, "backstay_control_archive_look_age_seconds") < 30


def test_a_clock_that_drifts(watched):
    watched.proxy.fault = lambda request: Shift(-120)
    problem = wait_for_fault(watched, "clockDrift")
    assert "behind" in problem["reason"] and not problem["needsBackup"]
    wait_for_event(watched, "store.clock_drifts")
    wait_for("it is counted", lambda: metric(watched, "backstay_control_store_clock_drifts") == 1, 30)
    assert -125 < metric(watched, "backstay_control_store_clock_offset_seconds") < -115
    watched.proxy.fault = None
    wait_until_over(watched, "clockDrift")
    wait_for_event(watched, "store.clock_fits")


def test_a_slot_that_stands_still(watched):
    with Writer(watched.database(), "while_it_stands") as writer:
        watched.proxy.fault = lambda request: Refuse() if request.method == "PUT" else None
        problem = wait_for_fault(watched, "slotStalled")
        assert "stands at" in problem["reason"]
        wait_for("it is counted", lambda: metric(watched, "backstay_control_wal_slot_stalled") == 1, 30)
        wait_for_event(watched, "wal.slot_stalled")
        watched.proxy.fault = None
        wait_until_over(watched, "slotStalled")
    assert not writer.refused


def test_objects_that_are_missing(watched):
    """Of the newest backup, so that a new one is taken: once."""
    api, rgw = watched.api, watched.rgw
    newest = watched.backup()
    window = api.get(f"/api/managed-services/{watched.id}/recovery-window")
    before = {backup["id"] for backup in api.backups(watched.id)}
    packs = {key: rgw.request("GET", f"/{watched.bucket}/{key}") for key in rgw.keys(watched.bucket) if key.startswith("packs/")}
    for key in packs:
        rgw.request("DELETE", f"/{watched.bucket}/{key}")
    problem = wait_for_fault(watched, "objectMissing")
    assert newest["id"] in problem["reason"] and "packs/" in problem["reason"] and problem["needsBackup"]
    wait_for_event(watched, "backups.incomplete")
    refused = pytest.raises(ApiError, deploy, api, bodies.service(watched.body["teamId"], "never", bodies.new_password()) |
                            {"recoverFrom": bodies.recover(watched.store, id=newest["id"])})
    assert refused.value.answer.body["code"] == "recovery_out_of_reach" and "missing from the store" in str(refused.value)

    mended = wait_for("a backup mends it", lambda: [b for b in api.backups(watched.id) if b["id"] not in before], 60)
    api.wait_for_backup(watched.id, mended[0]["id"])
    wait_for("the window is open again", lambda: window["latest"] < api.get(
        f"/api/managed-services/{watched.id}/recovery-window").get("earliest", ""), 30)
    assert len([b for b in api.backups(watched.id) if b["id"] not in before]) == 1, "one backup, not a loop"
    for key, content in packs.items():
        rgw.request("PUT", f"/{watched.bucket}/{key}", body=content)
    wait_until_over(watched, "objectMissing")
    wait_for_event(watched, "backups.whole")
    assert api.get(f"/api/managed-services/{watched.id}/recovery-window")["earliest"] == window["earliest"]


@pytest.mark.nightly
def test_a_server_that_is_an_older_copy_of_itself(own_server, rgw):
    """A snapshot of its disk was brought back: what it writes then does not follow upon its archive."""
    own_server.stop()
    own_server.environment["BACKSTAY_POSTGRES_LOOK_SECONDS"] = "2"
    api = own_server.start().api()
    deployed = deploy(api, bodies.service(api.get("/teams")[0]["id"], "rewound", bodies.new_password(),
                                          bodies.s3_store(rgw, rgw.make_bucket("rewound"))))
    api.wait_for_backup(deployed.id)
    (data,) = {path.parent for path in Path(own_server.state_dir).rglob("PG_VERSION") if path.parent.name == "data"}
    copy = data.parent / "data.copy"

    def pause(paused: bool):
        api.patch(f"/managed-services/{deployed.id}", {"pause": paused})
        api.wait_for_state(deployed.id, "paused" if paused else "synchronized")
    pause(True)
    subprocess.run(["cp", "-a", str(data), str(copy)], check=True)
    pause(False)
    deployed.database().sql("CREATE TABLE lost AS SELECT generate_series(1, 100000) AS i")
    moment = deployed.now()
    wait_for("it is archived", lambda: api.get(f"/api/managed-services/{deployed.id}/recovery-window")["latest"] > moment, 60)
    pause(True)
    shutil.rmtree(data)
    copy.rename(data)
    pause(False)
    problem = wait_for_fault(deployed, "timelineDiverged")
    assert "older copy" in problem["reason"]
    wait_for_event(deployed, "wal.diverged")
    recovered = deploy(api, bodies.service(deployed.body["teamId"], "as-it-was", bodies.new_password()) |
                       {"recoverFrom": bodies.recover(deployed.store, msId=deployed.id, time=moment)})
    assert recovered.database().sql("SELECT count(*) FROM lost") == "100000"
