"""Stores and networks at their worst: what was acknowledged is recovered, the state tells the truth, all work ends."""
import random

import pytest
from conftest import deploy

from support import bodies
from support.faults import repository_of, settle
from support.load import Writer
from support.store_proxy import Corrupt, Cut, Lose, Refuse, Repeat, Stall, StoreProxy
from support.waiting import wait_for


def window_of(deployed) -> dict:
    return deployed.api.get(f"/api/managed-services/{deployed.id}/recovery-window")


def prove(server, deployed, writer) -> None:
    """The latest state is recovered and has every row that was promised, and every object in the store is whole."""
    api = deployed.api
    moment = deployed.now()
    wait_for("the archive has it all", lambda: window_of(deployed).get("latest", "") > moment, 120)
    recovered = deploy(api, bodies.service(deployed.body["teamId"], "proof", bodies.new_password()) |
                       {"recoverFrom": bodies.recover(deployed.store, msId=deployed.id, time=moment)})
    writer.check(recovered.database())
    report = repository_of(server, deployed.body["teamId"], deployed.store)("verify")
    assert report["ok"], report["problems"]


def wait_for_phase(api, service_id: str, kind: str, phase: str) -> None:
    """Until an operation of the service is in the middle of it."""
    wait_for(f"'{kind}' in '{phase}'", lambda: [
        o for o in api.get(f"/api/operations?serviceId={service_id}")
        if o["kind"] == kind and o["state"] == "running" and o.get("progress", {}).get("phase") == phase], 60, interval=0.003)


def end_of(api, service_id: str, backup_id: str) -> dict:
    """The backup, once it is confirmed or has failed."""
    return wait_for("the backup has ended", lambda: next(
        (b for b in api.backups(service_id) if b["id"] == backup_id and b["state"] in ("completed", "failed")), None), 180)


@pytest.fixture
def behind_a_proxy(own_server, rgw):
    """A service with a backup, at a store that a proxy stands before."""
    with StoreProxy(rgw) as proxy:
        api = own_server.api()
        deployed = deploy(api, bodies.service(api.get("/teams")[0]["id"], "battered", bodies.new_password(),
                                              bodies.s3_store(proxy, rgw.make_bucket("battered"))))
        api.wait_for_backup(deployed.id)
        yield deployed, proxy
        own_server.destroy()


def at_random(seed: int, part: float):
    draw = random.Random(seed)

    def fault(request):
        if draw.random() > part:
            return None
        kinds = [Cut(), Lose(), Refuse(500), Refuse(503), Refuse(429)]
        if request.method == "PUT":
            kinds.append(Repeat())
        return draw.choice(kinds)
    return fault


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.nightly) for seed in range(2, 8))])
def test_requests_are_lost_repeated_and_refused(behind_a_proxy, own_server, seed):
    deployed, proxy = behind_a_proxy
    api = deployed.api
    with Writer(deployed.database()) as writer:
        proxy.fault = at_random(seed, 0.15)
        backup = end_of(api, deployed.id, api.post(f"/managed-services/{deployed.id}/backups")["id"])
        assert len(proxy.done) > 5
        proxy.fault = None
        assert backup["state"] == "completed" or backup["error"]
    settle(api)
    prove(own_server, deployed, writer)


def test_answers_are_corrupted_on_the_way(behind_a_proxy, own_server):
    """Of each object once, while a backup is read back and while a service is recovered: the next reading is whole."""
    deployed, proxy = behind_a_proxy
    api, seen = deployed.api, set()

    def once(request):
        if request.method != "GET" or not any(part in request.path for part in ("/packs/", "/manifest", "/wal/")):
            return None
        path = request.path.split("?")[0]
        if path in seen:
            return None
        seen.add(path)
        return Corrupt()
    with Writer(deployed.database()) as writer:
        proxy.fault = once
        backup = end_of(api, deployed.id, api.post(f"/managed-services/{deployed.id}/backups")["id"])
        assert proxy.done
        assert backup["state"] == "completed", backup
    seen.clear()
    prove(own_server, deployed, writer)
    settle(api)


@pytest.mark.nightly
def test_the_store_stalls_in_a_backup_and_in_a_recovery(behind_a_proxy, own_server):
    """Answers that never come end after half a minute without a byte."""
    deployed, proxy = behind_a_proxy
    api, draw = deployed.api, random.Random(5)
    with Writer(deployed.database()) as writer:
        proxy.fault = lambda request: Stall(300) if draw.random() < 0.1 else None
        entry = api.post(f"/managed-services/{deployed.id}/backups")
        wait_for("something stalls", lambda: proxy.done, 60)
        wait_for("it is noticed", lambda: len(proxy.done) > 2, 120)
        proxy.fault = None
        assert end_of(api, deployed.id, entry["id"])["state"] == "completed"
        writer.wait_for_more(50)
    assert not writer.refused
    proxy.done.clear()
    stalled = []

    def first_packs(request):
        if request.method == "GET" and "/packs/" in request.path and len(stalled) < 2:
            stalled.append(request)
            return Stall(300)
        return None
    proxy.fault = first_packs
    prove(own_server, deployed, writer)
    assert stalled
    settle(api)


@pytest.mark.nightly
@pytest.mark.parametrize("when", ["copy", "verify"])
def test_the_gateway_is_killed_in_the_middle_of_a_backup(own_server, rgw, when):
    api = own_server.api()
    deployed = deploy(api, bodies.service(api.get("/teams")[0]["id"], "cut-off", bodies.new_password(),
                                          bodies.s3_store(rgw, rgw.make_bucket("cut-off"))))
    api.wait_for_backup(deployed.id)
    deployed.database().sql("CREATE TABLE bulk AS SELECT i, repeat(md5(i::text), 50) AS t FROM generate_series(1, 60000) AS i")
    with Writer(deployed.database()) as writer:
        entry = api.post(f"/managed-services/{deployed.id}/backups")

        wait_for_phase(api, deployed.id, "backup", when)
        rgw.kill_gateway()
        try:
            wait_for("the risk is shown", lambda: not window_of(deployed).get("atRisk", {}).get("storeReachable", True), 120)
            writer.wait_for_more(100)
        finally:
            rgw.start_gateway()
        assert end_of(api, deployed.id, entry["id"])["state"] == "completed"
        assert not writer.refused, "the database never stopped"
    settle(api)
    prove(own_server, deployed, writer)


@pytest.mark.nightly
def test_the_gateway_is_killed_in_the_middle_of_a_recovery(own_server, rgw):
    api = own_server.api()
    team = api.get("/teams")[0]["id"]
    deployed = deploy(api, bodies.service(team, "source", bodies.new_password(), bodies.s3_store(rgw, rgw.make_bucket("source"))))
    api.wait_for_backup(deployed.id)
    deployed.database().sql("CREATE TABLE bulk AS SELECT i, repeat(md5(i::text), 50) AS t FROM generate_series(1, 60000) AS i")
    deployed.backup()
    with Writer(deployed.database()) as writer:
        writer.wait_for_more(100)
    moment = deployed.now()
    wait_for("the archive has it all", lambda: window_of(deployed).get("latest", "") > moment, 60)
    recovered = deploy(api, bodies.service(team, "recovered", bodies.new_password()) |
                       {"recoverFrom": bodies.recover(deployed.store, msId=deployed.id, time=moment)}, wait=False)
    wait_for_phase(api, recovered.id, "recover_service", "restore")
    rgw.kill_gateway()
    rgw.start_gateway()
    api.wait_for_state(recovered.id, "synchronized", 180)
    writer.check(recovered.database())
    settle(api)
