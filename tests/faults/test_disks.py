"""Disks that fail and disks that are full: what was acknowledged is recovered, the state tells the truth, all work ends."""
import os

import pytest
from conftest import deploy
from test_stores import end_of, prove, window_of

from support import bodies
from support.faults import failing_calls, fill, settle, small_disk
from support.load import Writer
from support.waiting import let_time_pass, wait_for

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="disks are mounted and processes traced by root only")


def with_directory(server, name: str):
    api = server.api()
    deployed = deploy(api, bodies.service(api.get("/teams")[0]["id"], name, bodies.new_password(),
                                          bodies.directory_store(server.state_dir, name)))
    api.wait_for_backup(deployed.id)
    return deployed


@needs_root
@pytest.mark.parametrize("calls", ["fsync,fdatasync", pytest.param("pwrite64,ftruncate", marks=pytest.mark.nightly),
                                   pytest.param("renameat,renameat2,rename", marks=pytest.mark.nightly)])
def test_the_disk_of_backstay_fails_for_a_while(own_server, calls):
    """Of the state, the spool and the directory store; the databases have disks of their own."""
    deployed = with_directory(own_server, "failing")
    api = deployed.api
    with Writer(deployed.database()) as writer:
        acknowledged = []
        with failing_calls(own_server.process.pid, calls, "EIO", own_server.home / "strace.log"):
            for number in range(3):
                answer = api.raw("POST", f"/managed-services/{deployed.id}/backups")
                if answer.status < 300:
                    acknowledged.append(answer.body["id"])
                api.raw("PATCH", f"/managed-services/{deployed.id}", {"name": f"failing-{number}"})
            writer.wait_for_more(300)
            let_time_pass(2)  # of failures, in everything that goes on by itself
        assert (own_server.home / "strace.log").stat().st_size > 0, "something failed"
        assert own_server.process.poll() is None
        for backup in acknowledged:
            ended = end_of(api, deployed.id, backup)
            assert ended["state"] == "completed" or ended["error"]
        assert deployed.backup()["confirmedAt"]
    assert not writer.refused, "the database never stopped"
    settle(api)
    prove(own_server, deployed, writer)


@needs_root
def test_the_disk_of_the_store_is_full(own_server):
    api = own_server.api()
    place = own_server.state_dir / "stores/full"
    place.parent.mkdir(parents=True, exist_ok=True)
    with small_disk(place, 150):
        deployed = with_directory(own_server, "full")
        with Writer(deployed.database()) as writer:
            ballast = fill(place)
            writer.wait_for_more(200)
            risk = wait_for("the risk is shown", lambda: (lambda r: r if not r.get("storeReachable", True) else None)(
                window_of(deployed).get("atRisk", {})), 60)
            assert "space" in risk["lastError"] and risk["bytes"] > 0
            failed = api.post(f"/managed-services/{deployed.id}/backups")["id"]
            writer.wait_for_more(200)
            ballast.unlink()
            ended = end_of(api, deployed.id, failed)
            assert ended["state"] == "completed" or "space" in ended["error"]
        assert not writer.refused, "the database never stopped"
        settle(api)
        prove(own_server, deployed, writer)
        own_server.destroy()


@needs_root
@pytest.mark.nightly
def test_the_disk_of_the_databases_is_full(new_server):
    """The spool of its WAL lies there too. PostgreSQL stops where it cannot write; with room again it goes on, and so does
    its archive."""
    server = new_server("full-data")
    services = server.home / "services"
    with small_disk(services, 700):
        services.chmod(0o711)
        server.environment["BACKSTAY_SERVER_SERVICES_DIR"] = str(services)
        store = server.home / "stores"
        store.mkdir(mode=0o700)
        server.environment["BACKSTAY_STORES_DIRECTORY_ROOTS"] = str(store)
        api = server.start().api()
        deployed = deploy(api, bodies.service(api.get("/teams")[0]["id"], "crowded", bodies.new_password(),
                                              {"config": {"destinationPath": f"file://{store}/crowded"}, "secrets": {}}))
        api.wait_for_backup(deployed.id)
        with Writer(deployed.database()) as writer:
            ballast = fill(services, leave=1 << 20)
            wait_for("the database cannot write", lambda: writer.refused, 120)
            ballast.unlink()
            writer.wait_for_more(100, 180)
        settle(api, 180)
        api.wait_for_state(deployed.id, "synchronized")
        prove(server, deployed, writer)
        server.destroy()


@needs_root
@pytest.mark.nightly
def test_the_disk_of_the_state_is_full(new_server):
    """What cannot be written down is refused, what can be read is told; databases and their archives go on."""
    server = new_server("full-state")
    with small_disk(server.state_dir, 64):
        for variable, place in (("BACKSTAY_SERVER_SERVICES_DIR", "services"), ("BACKSTAY_STORES_DIRECTORY_ROOTS", "stores")):
            (server.home / place).mkdir(mode=0o711)
            server.environment[variable] = str(server.home / place)
        api = server.start().api()
        deployed = deploy(api, bodies.service(api.get("/teams")[0]["id"], "unwritten", bodies.new_password(),
                                              {"config": {"destinationPath": f"file://{server.home}/stores/unwritten"}, "secrets": {}}))
        api.wait_for_backup(deployed.id)
        with Writer(deployed.database()) as writer:
            ballast = fill(server.state_dir)
            refused = wait_for("a backup is refused", lambda: (lambda answer: answer if answer.status >= 500 else None)(
                api.raw("POST", f"/managed-services/{deployed.id}/backups")), 60)
            assert refused.status == 507 and refused.body["code"] == "disk_full", refused.body
            assert api.raw("GET", f"/managed-services/{deployed.id}").status == 200
            moment = deployed.now()
            writer.wait_for_more(300)
            wait_for("the archive goes on", lambda: window_of(deployed).get("latest", "") > moment, 60)
            assert server.process.poll() is None
            ballast.unlink()
            again = wait_for("backups are taken again", lambda: (lambda answer: answer if answer.status < 300 else None)(
                api.raw("POST", f"/managed-services/{deployed.id}/backups")), 60)
            assert end_of(api, deployed.id, again.body["id"])["state"] == "completed"
        assert not writer.refused, "the database never stopped"
        settle(api, 180)
        prove(server, deployed, writer)
        server.destroy()
