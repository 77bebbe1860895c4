"""What a tenant with a shell (a superuser password, so root only) may do to others: nothing."""
import os
import signal
from pathlib import Path

import pytest

from conftest import deploy
from support import bodies
from support.waiting import let_time_pass, wait_for

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives services users of their own")


def with_shell(api, team: int, name: str):
    body = bodies.service(team, name, bodies.new_password())
    body["secrets"]["superuserPassword"] = bodies.new_password()
    return deploy(api, body)


def shell(deployed, script: str) -> None:
    """Runs it as the service's user, in its data directory."""
    deployed.superuser().sql(f"CREATE TEMP TABLE said (line text); COPY said FROM PROGRAM $shell$ {script} $shell$")


def data_directory(deployed) -> Path:
    return Path(deployed.superuser().sql("SHOW data_directory"))


def processes_of(uid: int) -> list:
    """Those that are alive: the ended ones stay until the machine's init looks after them."""
    found = []
    for process in os.listdir("/proc"):
        try:
            status = Path(f"/proc/{process}/status").read_text() if process.isdigit() else ""
        except OSError:
            continue
        if f"\nUid:\t{uid}\t" in status and "\nState:\tZ" not in status:
            found.append(process)
    return found


def test_a_pipe_in_place_of_a_pid_file_stops_nobody_else(own_server):
    api = own_server.api()
    team = api.get("/teams")[0]["id"]
    hostile, victim = with_shell(api, team, "hostile"), with_shell(api, team, "victim")
    shell(hostile, "rm -f postmaster.pid; mkfifo postmaster.pid; echo done")
    pid_file = data_directory(victim) / "postmaster.pid"
    before = pid_file.read_text()
    let_time_pass(4)  # every service is looked at meanwhile, the hostile one too
    os.kill(int(before.split()[0]), signal.SIGKILL)

    def runs_again():
        now = pid_file.read_text() if pid_file.exists() else ""
        return "ready" in now and now != before
    wait_for("the victim runs again", runs_again, 20)
    assert victim.database().sql("SELECT 1") == "1"


def test_nothing_of_a_deleted_service_runs_on_and_its_user_is_not_given_out_again(own_server):
    api = own_server.api()
    team = api.get("/teams")[0]["id"]
    gone = with_shell(api, team, "gone")
    uid = data_directory(gone).stat().st_uid
    shell(gone, "(setsid sh -c 'trap : TERM INT HUP; while :; do sleep 1; done' >/dev/null 2>&1 </dev/null &); echo done")
    shell(gone, "rm postmaster.pid; echo done")
    api.delete(f"/managed-services/{gone.id}")
    wait_for("the service is gone", lambda: api.raw("GET", f"/managed-services/{gone.id}").status == 404, 60)
    assert processes_of(uid) == []
    assert data_directory(with_shell(api, team, "next")).stat().st_uid != uid


def test_a_log_does_not_fill_the_disk(own_server):
    api = own_server.api()
    loud = with_shell(api, api.get("/teams")[0]["id"], "loud")
    log = data_directory(loud).parent / "log" / "postgresql.log"
    loud.superuser().sql("DO $$ BEGIN FOR i IN 1..800 LOOP RAISE LOG '%', repeat('x', 100000); END LOOP; END $$")
    wait_for("the log is cut", lambda: log.stat().st_size < 1 << 20, 60)
