"""The server as its operator sees it: configuration, health, files, secrets, stopping."""
import json
import os
import stat
import subprocess
from pathlib import Path

import pytest
from conftest import deploy

from support import bodies
from support.api import Api


def test_the_endpoint_and_the_first_token_are_files(server):
    assert server.url.startswith("http://127.0.0.1:")
    assert stat.S_IMODE(server.token_file.stat().st_mode) == 0o600
    assert set(json.loads((server.state_dir / "endpoint.json").read_text())) >= {"url"}


def test_it_listens_on_loopback_only(server):
    port = int(server.url.rsplit(":", 1)[1])
    table = Path(f"/proc/{server.process.pid}/net/tcp").read_text().splitlines()[1:]
    listening = [line.split()[1] for line in table if line.split()[3] == "0A" and line.split()[1].endswith(f":{port:04X}")]
    assert listening == [f"0100007F:{port:04X}"]


def test_health_readiness_and_metrics(server):
    nobody = Api(server.url, None)
    assert nobody.raw("GET", "/health").status == 200
    assert nobody.raw("GET", "/ready").status == 200
    metrics = nobody.raw("GET", "/metrics")
    assert metrics.status == 200 and "backstay_" in metrics.body
    assert nobody.raw("GET", "/metrics", headers={"X-Forwarded-For": "203.0.113.9"}).status == 401


def test_every_log_line_is_json_with_a_name(shop, server):
    lines = [line for line in server.log_text().splitlines() if line.strip()]
    assert lines
    for line in lines:
        entry = json.loads(line)
        assert entry.get("event") and entry.get("level"), line


def test_no_secret_lies_in_the_state_or_in_the_logs(own_server, rgw):
    api = own_server.api()
    team = api.get("/teams")[0]["id"]
    password = bodies.new_password()
    store = bodies.s3_store(rgw, rgw.make_bucket("secrets"))
    deployed = deploy(api, bodies.service(team, "discreet", password, store))
    api.wait_for_backup(deployed.id)
    token = api.post("/tokens", {"name": "t", "scopes": ["read"], "teamIds": [team]})["token"]
    hidden = [secret.encode() for secret in (password, rgw.secret_key, token)]
    for path in [*own_server.state_dir.rglob("*"), own_server.log_file]:
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            for secret in hidden:
                assert secret not in content, f"{path} holds a secret in clear"
    assert not any(own_server.state.holds(secret) for secret in hidden)
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        assert not any(secret in command for secret in hidden), command
    answers = [api.get(path) for path in ("/managed-services", "/tokens", "/api/operations", "/api/events", "/api/destinations",
                                          f"/managed-services/{deployed.id}")]
    assert not any(secret.decode() in json.dumps(answers) for secret in hidden)


@pytest.mark.parametrize("text, named", [("[server]\nlisten = \"127.0.0.1:0\"\nlisen = 1\n", "lisen"),
                                         ("[server]\nlisten = 7\n", "listen"), ("[server\n", "line 1"),
                                         ("[control]\nworker_threads = 0\n", "worker_threads")])
def test_a_wrong_configuration_is_refused_with_its_place(program, tmp_path, text, named):
    config = tmp_path / "backstay.toml"
    config.write_text(text)
    done = subprocess.run([program, "serve", "--config", config, "--state-dir", tmp_path / "state"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert named in done.stderr and str(config) in done.stderr, done.stderr


def test_a_misspelt_variable_of_the_environment_is_refused(program, tmp_path):
    done = subprocess.run([program, "serve", "--state-dir", tmp_path / "state"], capture_output=True, text=True, timeout=30,
                          env={**os.environ, "BACKSTAY_SERVER_LISEN": "127.0.0.1:0"})
    assert done.returncode == 2 and "BACKSTAY_SERVER_LISEN" in done.stderr


def test_two_servers_do_not_share_a_state_directory(server, program):
    done = subprocess.run([program, "serve", "--state-dir", server.state_dir, "--listen", "127.0.0.1:0"], capture_output=True,
                          text=True, timeout=30)
    assert done.returncode != 0 and str(server.state_dir) in done.stderr
    assert Api(server.url, None).raw("GET", "/ready").status == 200


def test_https_with_a_given_certificate(new_server, tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=backstay", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
                   check=True, capture_output=True)
    server = new_server("https", environment={"BACKSTAY_SERVER_TLS_CERTIFICATE_FILE": certificate, "BACKSTAY_SERVER_TLS_KEY_FILE": key})
    server.raw_health = lambda: Api(server.url, None, ca_file=str(certificate)).raw("GET", "/ready").status
    server.start()
    assert server.url.startswith("https://127.0.0.1:")
    token = server.token_file.read_text().strip()
    assert Api(server.url, token, ca_file=str(certificate)).get("/teams")
    server.destroy()


@pytest.mark.skipif(os.geteuid() != 0, reason="own uids are only given by root")
def test_each_service_runs_under_its_own_uid_in_a_closed_directory(shop, server):
    from support.load import postmaster_pids
    owners = set()
    for pid in postmaster_pids(server.state_dir):
        uid = Path(f"/proc/{pid}").stat().st_uid
        assert uid != 0 and uid not in owners
        owners.add(uid)
        data = Path(os.readlink(f"/proc/{pid}/cwd"))
        assert data.stat().st_uid == uid and stat.S_IMODE(data.stat().st_mode) == 0o700
