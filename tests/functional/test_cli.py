"""The command line client against a running server."""
import json
import os
import subprocess

import pytest

from support import bodies
from support.waiting import let_time_pass


@pytest.fixture
def backstay(program, server):
    """Runs a command; returns the finished process."""
    def run(*arguments, stdin: str = "", code: int = 0, connected: bool = True) -> subprocess.CompletedProcess:
        where = ["--state-dir", str(server.state_dir)] if connected else []
        done = subprocess.run([str(program), *map(str, arguments), *where], input=stdin, capture_output=True, text=True, timeout=300,
                              env={key: value for key, value in os.environ.items() if not key.startswith("BACKSTAY_")})
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done
    return run


def test_the_catalogue(backstay):
    table = backstay("providers", "list").stdout.splitlines()
    assert table[0].split() == ["NAME", "VERSION", "WHAT", "IT", "IS", "BACKUPS", "POINT", "IN", "TIME", "PAUSE"]
    assert any(line.split()[:2] == ["postgresql", "15"] for line in table)
    assert "max_connections" in backstay("providers", "show", "postgresql:15").stdout


def test_a_service_from_birth_to_deletion(backstay, tmp_path, team):
    password = tmp_path / "password"
    password.write_text(bodies.new_password() + "\n")
    made = backstay("services", "create", "by-hand", "--team", team, "--provider", "postgresql:15", "--plan", 1, "--parameter",
                    "storage=10", "--secret-file", f"password={password}", "--wait", "-o", "json")
    service = json.loads(made.stdout)
    assert service["status"]["state"] == "synchronized"
    assert "synchronized" in backstay("services", "list", "--team", team).stdout
    assert "dsn" in backstay("services", "details", "by-hand").stdout
    changed = json.loads(backstay("services", "update", "by-hand", "--config", "work_mem=6MB", "--wait", "-o", "json").stdout)
    assert changed["config"] == {"work_mem": "6MB"}
    assert "--confirm 'by-hand'" in backstay("services", "delete", "by-hand", code=2).stderr
    assert "is deleted" in backstay("services", "delete", "by-hand", "--confirm", "by-hand", "--wait").stdout
    assert "by-hand" not in backstay("services", "list", "--team", team).stdout


def test_backups_window_and_recovery(backstay, shop, tmp_path):
    assert "confirmed" in backstay("backups", "create", shop.id, "--wait").stdout.lower()
    assert len(backstay("backups", "list", "shop").stdout.splitlines()) >= 3
    assert "earliest" in backstay("window", "shop").stdout
    shop.database().sql("CREATE TABLE by_cli AS SELECT 42 AS answer")
    moment = shop.now()
    let_time_pass(0.1)
    password = bodies.new_password()
    made = backstay("recover", "shop-by-cli", "--service", "shop", "--time", moment, "--secret-file", "password=-", "--wait", "-o",
                    "json", stdin=password)
    recovered = json.loads(made.stdout)
    database = type(shop.database()).of(shop.api.details(recovered["id"]), password)
    assert database.sql("SELECT answer FROM by_cli") == "42"


def test_operations_and_events(backstay, shop):
    operations = json.loads(backstay("operations", "list", shop.id, "-o", "json").stdout)
    assert operations and all(o["serviceId"] == shop.id for o in operations)
    assert "succeeded" in backstay("operations", "show", operations[-1]["id"]).stdout
    assert "backup." in backstay("events", "shop").stdout


def test_destinations_tokens_and_teams(backstay, server, team):
    made = backstay("destinations", "create", "shelf", "--team", team, "--config",
                    f"destinationPath=file://{server.state_dir}/stores/shelf", "-o", "json")
    destination = json.loads(made.stdout)
    assert all(check["passed"] for check in destination["checks"] if check["essential"])
    assert destination["id"] in backstay("destinations", "list").stdout
    backstay("destinations", "delete", destination["id"])
    assert destination["id"] not in backstay("destinations", "list").stdout

    token = backstay("tokens", "create", "for-ci", "--scope", "read", "--team", team).stdout.strip()
    listed = json.loads(backstay("tokens", "list", "-o", "json").stdout)
    assert token not in json.dumps(listed)
    backstay("tokens", "delete", [t for t in listed if t["name"] == "for-ci"][0]["id"])

    assert "team" in backstay("teams", "create", "by the command line").stdout
    assert "bsk1-" in backstay("teams", "recovery-kit", team).stdout


def test_exit_codes(backstay, tmp_path):
    token = tmp_path / "token"
    token.write_text("not-a-token\n")
    assert "there is no service 'nobody'" in backstay("services", "show", "nobody", code=3).stderr
    assert "error:" in backstay("services", "create", "x", "--team", 999999, "--provider", "redis", code=4).stderr
    assert "hint:" in backstay("services", "list", "--token-file", token, code=4).stderr
    assert "cannot be reached" in backstay("services", "list", "--server", "http://127.0.0.1:9", "--token-file", token, code=5,
                                           connected=False).stderr
    assert "--server" in backstay("services", "list", code=2, connected=False).stderr
    backstay("services", "list", "--no-such-option", code=2)
    backstay("nonsense", code=2, connected=False)
