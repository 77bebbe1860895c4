"""Started by an ordinary user: it says that its tenants must trust each other, and does the main job."""
import os
import pwd
import shutil
import tempfile
from pathlib import Path
from typing import Optional

import pytest
from conftest import Deployed, deploy

from support import bodies
from support.api import ApiError
from support.server import Server, make_state_directory, processes_below

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


class ServerOfSomebody(Server):
    def command(self) -> list:
        return ["setpriv", f"--reuid={somebody().pw_uid}", f"--regid={somebody().pw_gid}", "--clear-groups", *super().command()]


def somebody() -> pwd.struct_passwd:
    return pwd.getpwnam("nobody")


def owner_of(pid: int) -> Optional[int]:
    try:
        return Path(f"/proc/{pid}").stat().st_uid
    except FileNotFoundError:
        return None  # one that had ended by then


def dump_as_tar(source: Deployed) -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        source.database().run("pg_dump", "--format=tar", f"--file={directory}/dump")
        return Path(directory, "dump").read_bytes()


@pytest.fixture
def server_of_somebody(program):
    home = make_state_directory("somebody")
    bin_directory = home / "bin"
    bin_directory.mkdir(mode=0o755)
    for name in ("backstay", "backstay-restore-wal"):  # the built ones may lie where others cannot go
        shutil.copy(program.parent / name, bin_directory / name)
    os.chown(home, somebody().pw_uid, somebody().pw_gid)
    server = ServerOfSomebody(bin_directory / "backstay", home)
    yield server.start()
    server.destroy()


def test_the_main_job_as_an_ordinary_user(server_of_somebody):
    server = server_of_somebody
    assert "trust each other" in server.log_text()
    api = server.api()
    team = api.get("/teams")[0]["id"]
    source = deploy(api, bodies.service(team, "modest", bodies.new_password(), bodies.directory_store(server.state_dir, "modest")))
    source.database().sql(bodies.WELL_FILLED)
    api.wait_for_backup(source.id)
    source.database().sql(bodies.CHANGED_SINCE)
    before, moment = source.database().fingerprints(), source.now()
    source.database().sql("DROP TABLE orders CASCADE")
    recovered = deploy(api, bodies.service(team, "modest-again", bodies.new_password()) |
                       {"recoverFrom": bodies.recover(source.store, msId=source.id, time=moment)})
    assert recovered.database().fingerprints() == before
    refused = api.raw("POST", f"/api/managed-services/{recovered.id}/imports", dump_as_tar(recovered),
                      {"Content-Type": "application/octet-stream"})
    operation = api.wait_for_operation(refused.body["id"])
    assert operation["state"] == "failed" and "a user of its own" in operation["error"]["message"], operation
    owners = {owner_of(pid) for pid in processes_below(server.state_dir)} - {None}
    assert owners == {somebody().pw_uid}

    with pytest.raises(ApiError) as refused:
        body = bodies.service(team, "immodest", bodies.new_password())
        body["secrets"]["superuserPassword"] = bodies.new_password()
        api.post("/managed-services", body)
    assert [error["pointer"] for error in refused.value.answer.body["errors"]] == ["/secrets/superuserPassword"]
