"""Every command of the two published guides, run by a shell as printed. `published/` holds them character for character;
what a reader of the guides replaces is replaced, and nothing else: host, token, team, ids, the time, bucket and keys."""
import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from support import contract
from support.api import Answer, Api
from support.database import Database
from support.waiting import let_time_pass, wait_for

PUBLISHED = Path(__file__).parent / "published"
CURL_SETTINGS = 'silent\nshow-error\nmax-time = 60\nwrite-out = "\\n%{http_code} %{content_type}"\n'


def printed(name: str) -> str:
    return (PUBLISHED / name).read_text()


class Reader:
    """Somebody who follows the guides: a team, a token for it, a bucket, and a shell with curl."""

    def __init__(self, server, rgw, home: Path, name: str):
        admin = server.api()
        self.team = admin.post("/api/teams", {"name": name})["id"]
        token = admin.post("/api/tokens", {"name": name, "scopes": ["read", "write"], "teamIds": [self.team]})["token"]
        self.api, self.rgw, self.home = Api(server.url, token), rgw, home
        self.bucket = rgw.make_bucket(name)
        (home / ".curlrc").write_text(CURL_SETTINGS)
        self.replaced = {
            "https://api.codesphere.com": server.url,
            "<your-codesphere-instance-url>": server.url,
            "<your-codesphere-api-endpoint>": server.url,
            "YOUR_API_TOKEN": token,
            '"teamId": 123': f'"teamId": {self.team}',
            "https://s3.eu-central-1.amazonaws.com": rgw.url,
            "s3://my-codesphere-backups/": f"s3://{self.bucket}/",
            "YOUR_S3_ACCESS_KEY": rgw.access_key,
            "YOUR_S3_SECRET_KEY": rgw.secret_key,
        }

    def run(self, command: str, **more: str):
        """What the command printed, which is also held against the API's description."""
        for old, new in {**self.replaced, **more}.items():
            command = command.replace(old, new)
        done = subprocess.run(["sh", "-c", command], env={"PATH": "/usr/bin:/bin", "CURL_HOME": str(self.home)},
                              capture_output=True, text=True, timeout=90)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        text, _, last = done.stdout.rpartition("\n")
        status, kind = last.split(" ", 1)
        self.watch(shlex.split(command.replace("\\\n", "")), Answer(int(status), json.loads(text), {"Content-Type": kind}))
        assert status == "200" and kind == "application/json", done.stdout
        return json.loads(text)

    def watch(self, words: list, answer: Answer) -> None:
        path = words[3].removeprefix(self.api.url)
        body = json.loads(words[words.index("-d") + 1]) if "-d" in words else None
        contract.watch(self.api, words[2], path, body, answer)

    def deployed(self, command: str, **more: str) -> dict:
        service = self.run(command, **more)
        assert service["status"]["state"] == "creating"
        return self.api.wait_for_state(service["id"], "synchronized", 180)

    def database(self, service_id: str, password: str = "secure-password") -> Database:
        return Database.of(self.api.details(service_id), password)

    def stored(self) -> list:
        return self.rgw.keys(self.bucket)

    def holds(self, backup_id: str) -> bool:
        """Whether the bucket has the backup: exactly when its record is there."""
        return any(f"/backups/{backup_id}/record." in key for key in self.stored())


@pytest.fixture(scope="module")
def new_reader(shared_server, rgw, tmp_path_factory):
    return lambda name: Reader(shared_server, rgw, tmp_path_factory.mktemp(name), name)


@pytest.fixture(scope="module")
def reader(new_reader) -> Reader:
    return new_reader("backups-guide")


@pytest.fixture(scope="module")
def source(reader) -> dict:
    """The service of the backups guide, with a first backup and a row."""
    assert reader.stored() == []
    service = reader.deployed(printed("backups-create-with-backups.curl"))
    reader.database(service["id"]).sql("CREATE TABLE kept (word text); INSERT INTO kept VALUES ('before')")
    reader.api.wait_for_backup(service["id"])
    return service


def words(reader: Reader, service_id: str) -> list:
    return reader.database(service_id).sql("SELECT word FROM kept ORDER BY 1").split()


def test_a_service_created_with_backups_is_backed_up_at_once(reader, source):
    backups = source["backups"]
    assert (backups["enabled"], backups["intervalH"], backups["deleteRetentionDays"]) == (True, 24, 7)
    assert backups["config"] == {"endpointUrl": reader.rgw.url, "destinationPath": f"s3://{reader.bucket}/"}
    assert source["name"] == "my-postgres-with-backups" and source["config"] == {"max_connections": "100"}
    assert source["plan"] == {"id": 1, "parameters": {"storage": 10}}
    assert reader.database(source["id"]).sql("SHOW max_connections") == "100"
    first = reader.api.backups(source["id"])[-1]
    assert first["origin"] == "scheduled" and reader.holds(first["id"])


def test_a_manual_backup_is_in_the_bucket(reader, source):
    entry = reader.run(printed("backups-back-up-now.curl"), YOUR_SERVICE_ID=source["id"])
    assert "scheduledAt" in entry and "confirmedAt" not in entry
    assert reader.api.wait_for_backup(source["id"], entry["id"])["origin"] == "manual"
    assert reader.holds(entry["id"])
    assert entry["id"] in [shown["id"] for shown in reader.api.service(source["id"])["backups"]["entries"]]


def test_a_point_in_time_comes_back_as_a_new_service(reader, source):
    database = reader.database(source["id"])
    database.sql("INSERT INTO kept VALUES ('until')")
    moment = database.sql("SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
    let_time_pass(0.2)
    database.sql("INSERT INTO kept VALUES ('since')")
    now = words(reader, source["id"])
    recovered = reader.deployed(printed("backups-recover-to-a-time.curl"),
                                **{"OLD_MANAGED_SERVICE_ID": source["id"], "2026-04-10T12:00:00Z": moment})
    assert recovered["id"] != source["id"] and recovered["name"] == "my-postgres-recovered"
    assert recovered["backups"] == {"enabled": False, "entries": []}
    assert words(reader, recovered["id"]) == [word for word in now if word != "since"]
    assert words(reader, source["id"]) == now, "the source is not touched"


def test_a_backup_comes_back_by_its_id(reader, source):
    reader.database(source["id"]).sql("INSERT INTO kept VALUES ('backed-up')")
    held = words(reader, source["id"])
    entry = reader.run(printed("backups-back-up-now.curl"), YOUR_SERVICE_ID=source["id"])
    reader.api.wait_for_backup(source["id"], entry["id"])
    reader.database(source["id"]).sql("INSERT INTO kept VALUES ('too-late')")
    recovered = reader.deployed(by_id(printed("backups-recover-to-a-time.curl"), printed("backups-recover-from.fragment")),
                                **{"BACKUP_UUID_HERE": entry["id"], "my-postgres-recovered": "my-postgres-of-a-backup"})
    assert words(reader, recovered["id"]) == held


def by_id(command: str, fragment: str) -> str:
    """The command with the guide's other form of recoverFrom; its dots stand for what the first form says there."""
    old = re.search(r'"recoverFrom": (\{.*\})\n\}\'', command, re.DOTALL)
    for name in ("config", "secrets"):
        said = re.search(rf'"{name}": \{{[^}}]*\}}', old[1])[0]
        fragment = fragment.replace(f'"{name}": {{ ... }}', said)
    return command.replace(f'"recoverFrom": {old[1]}', fragment.strip())


def test_backups_are_turned_on_for_a_service_that_has_none(new_reader):
    reader = new_reader("enabling")
    made = reader.api.post("/managed-services", {
        "teamId": reader.team, "name": "bare", "provider": {"name": "postgresql", "version": "15"}, "config": {},
        "plan": {"id": 1, "parameters": {"storage": 10}}, "secrets": {"password": "secure-password"}})
    reader.api.wait_for_state(made["id"], "synchronized", 180)
    assert reader.stored() == []
    changed = reader.run(printed("backups-enable-backups.curl"), YOUR_SERVICE_ID=made["id"])["backups"]
    assert (changed["enabled"], changed["intervalH"], changed["deleteRetentionDays"]) == (True, 12, 30)
    backup = reader.api.wait_for_backup(made["id"])
    assert backup["origin"] == "scheduled" and reader.holds(backup["id"])


def test_the_deploying_guide_from_creation_to_deletion(new_reader):
    reader = new_reader("deploying-guide")
    service = reader.deployed(printed("deploying-create.curl"))["id"]
    database = reader.database(service)
    assert (database.user, database.sql("SHOW max_connections")) == ("admin", "100")
    database.sql("CREATE TABLE kept (word text); INSERT INTO kept VALUES ('kept')")
    reader.api.wait_for_backup(service)
    check_update(reader, service)
    database = reader.database(service, "new-secure-password")
    check_pause(reader, service, database)
    check_delete(reader, service, database)


def check_update(reader: Reader, service: str) -> None:
    changed = reader.run(printed("deploying-update.curl"), YOUR_SERVICE_ID=service)
    assert changed["status"]["state"] == "updating" and changed["plan"] == {"id": 2, "parameters": {"storage": 20}}
    assert (changed["backups"]["intervalH"], changed["backups"]["deleteRetentionDays"]) == (12, 30)
    reader.api.wait_for_state(service, "synchronized")
    assert reader.database(service, "new-secure-password").sql("SHOW max_connections") == "200"
    with pytest.raises(RuntimeError, match="authentication failed"):
        reader.database(service).sql("SELECT 1")


def check_pause(reader: Reader, service: str, database: Database) -> None:
    assert reader.run(printed("deploying-pause.curl"), YOUR_SERVICE_ID=service)["pause"] is True
    reader.api.wait_for_state(service, "paused")
    with pytest.raises(RuntimeError, match="refused"):
        database.sql("SELECT 1")
    assert reader.run(printed("deploying-resume.curl"), YOUR_SERVICE_ID=service)["pause"] is False
    reader.api.wait_for_state(service, "synchronized")
    assert database.sql("SELECT word FROM kept") == "kept"


def check_delete(reader: Reader, service: str, database: Database) -> None:
    reader.run(printed("deploying-delete.curl"), YOUR_SERVICE_ID=service)
    wait_for("it is deleted", lambda: reader.api.service(service)["status"]["state"] == "deleted", 180)
    assert reader.api.service(service)["status"]["deletedAt"]
    final = [backup for backup in reader.api.backups(service) if backup["origin"] == "final"]
    assert len(final) == 1 and final[0]["confirmedAt"] and reader.holds(final[0]["id"])
    with pytest.raises(RuntimeError, match="refused"):
        database.sql("SELECT 1")
    shown = {flag: service in [it["id"] for it in reader.api.get(f"/managed-services?team={reader.team}&includeDeleted={flag}")]
             for flag in ("true", "false")}
    assert shown == {"true": True, "false": False}
