"""Lnchr's dialect: each call that its page prints, as printed, with what it says of it on a real PostgreSQL and a real
S3 store. `published/lnchr-*` hold the page's calls and bodies character for character; what its readers replace is
replaced, and nothing else: host, token, ids, the time, bucket and keys."""
import functools
import http.server
import json
import re
import shutil
import threading
from datetime import datetime
from pathlib import Path

import pytest

from support.api import Answer, Api
from support.database import Database
from support.server import make_state_directory
from support.waiting import let_time_pass, wait_for

PUBLISHED = Path(__file__).parent / "published"
NOBODY = "00000000-0000-4000-8000-000000000000"


def printed(which: str, /, **replaced: str) -> dict:
    body = json.loads((PUBLISHED / f"lnchr-{which}.json").read_text())
    assert set(replaced) <= set(body)
    return body | replaced


class Client:
    """Speaks as a program written for the platform does: it opens the envelope and nothing else."""

    def __init__(self, server, slug: str, prefix: str = "", key_header: bool = False):
        admin = server.api()
        teams = {team["slug"]: team["id"] for team in admin.get("/teams")}
        self.team = teams.get(slug) or admin.post("/api/teams", {"name": slug, "slug": slug})["id"]
        self.token = admin.post("/api/tokens", {"name": slug, "scopes": ["write"], "teamIds": [self.team]})["token"]
        self.house = Api(server.url, self.token)
        self.prefix, self.key_header = prefix, key_header

    def raw(self, method: str, path: str, body=None, headers=None) -> Answer:
        api = Api(self.house.url, None if self.key_header else self.token)
        if self.key_header:
            headers = {"x-lnchr-key": self.token, **(headers or {})}
        answer = api.raw(method, f"{self.prefix}/api/v1{path}", body, headers)
        assert answer.headers["x-plane-version"]
        return answer

    def call(self, method: str, path: str, body=None, status: int = 200):
        answer = self.raw(method, path, body)
        assert answer.status == status, (method, path, answer.body)
        if status == 204:
            assert answer.body is None
            return None
        assert answer.body.keys() == {"success", "data"} and answer.body["success"] is True
        return answer.body["data"]

    def refusal(self, method: str, path: str, body=None, status: int = 400) -> dict:
        answer = self.raw(method, path, body)
        codes = {400: "BAD_REQUEST", 401: "UNAUTHORIZED", 403: "FORBIDDEN", 404: "NOT_FOUND", 409: "CONFLICT",
                 501: "NOT_IMPLEMENTED"}
        assert (answer.status, answer.body["success"], answer.body["error"]["code"]) == (status, False, codes[status])
        return answer.body["error"]

    def destination(self, rgw, name: str, **more) -> dict:
        body = printed("create-destination", name=name, access_key=rgw.access_key, secret_key=rgw.secret_key,
                       bucket=rgw.make_bucket(name), endpoint=rgw.url)
        return self.call("POST", "/settings/backup-destinations", body | more, 201)

    def wait_for(self, database_id: str, status: str, seconds: float = 120) -> dict:
        def probe():
            database = self.call("GET", f"/databases/{database_id}")
            assert database["status"] != "failed" or status == "failed", database
            return database if database["status"] == status else None
        return wait_for(f"database {database_id} {status}", probe, seconds)

    def wait_for_backup(self, database_id: str, backup_id: str) -> dict:
        def probe():
            found = self.call("GET", f"/databases/{database_id}/backups/{backup_id}")
            assert found["status"] != "failed", found
            return found if found["status"] == "completed" else None
        return wait_for(f"backup {backup_id}", probe, 120)

    def create(self, name: str, **more) -> dict:
        """The answer of the creation, with where it listens."""
        made = self.call("POST", "/databases", {"name": name, "type": "postgres", **more}, 201)
        return made | self.wait_for(made["id"], "running")

    def open(self, database: dict, password: str = None) -> Database:
        return Database(database["host"], database["port"], database["user"], database["database"],
                        password or database["password"])


@pytest.fixture(scope="module")
def dumps():
    """A directory that the operator allows imports from."""
    directory = make_state_directory("dumps")
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="module")
def plane(new_server, dumps):
    return new_server("lnchr", {"BACKSTAY_IMPORT_ROOTS": str(dumps)}).start()


@pytest.fixture(scope="module")
def client(plane) -> Client:
    return Client(plane, "lnchr-team")


@pytest.fixture(scope="module")
def place(client, rgw) -> dict:
    return client.destination(rgw, "s3-backups")


@pytest.fixture(scope="module")
def database(client, place) -> dict:
    """With backups on and a first row."""
    made = client.create("my-db", version="15", project_id="shop", backup_destination_id=place["id"])
    client.open(made).sql("CREATE TABLE kept (word text); INSERT INTO kept VALUES ('before')")
    client.house.wait_for_backup(made["id"])
    return made


def words(client: Client, database: dict, password: str = None) -> list:
    return client.open(database, password).sql("SELECT word FROM kept ORDER BY 1").split()


def moment(client: Client, database: dict) -> str:
    """The database server's own clock, with something written on either side of it."""
    now = client.open(database).sql("SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
    let_time_pass(0.2)
    return now


# destinations


def test_a_destination_is_entered_as_printed(client, place, rgw):
    assert (place["name"], place["provider"], place["region"]) == ("s3-backups", "s3", "us-east-1")
    assert place["endpoint"] == rgw.url and place["bucket"].startswith("s3-backups")
    assert place == client.call("GET", f"/settings/backup-destinations/{place['id']}")
    assert place["id"] in [each["id"] for each in client.call("GET", "/settings/backup-destinations")]
    assert not {"secret_key", "access_key"} & set(place)


def test_a_destination_is_probed_when_it_is_saved(client, rgw):
    wrong = printed("create-destination", name="wrong", bucket=rgw.make_bucket("wrong"), endpoint=rgw.url)
    error = client.refusal("POST", "/settings/backup-destinations", wrong)
    assert rgw.secret_key not in json.dumps(error)
    absent = wrong | {"bucket": "there-is-none", "access_key": rgw.access_key, "secret_key": rgw.secret_key}
    client.refusal("POST", "/settings/backup-destinations", absent)
    assert "wrong" not in [each["name"] for each in client.call("GET", "/settings/backup-destinations")]


def test_what_is_missing_is_named_in_the_platforms_words(client):
    def fields(**body) -> list:
        error = client.refusal("POST", "/settings/backup-destinations", {"name": "x", "provider": "s3", "bucket": "abc"} | body)
        return [detail["field"] for detail in error["details"]]
    assert fields() == ["/access_key", "/secret_key"]
    assert fields(provider="r2") == ["/account_id"]
    assert fields(provider="minio") == ["/endpoint"]
    assert fields(provider="backblaze") == ["/region"]
    assert fields(provider="ftp") == ["/provider"]
    assert fields(bucket="a/b") == ["/bucket"]


def test_a_destination_is_changed_in_part(client, rgw):
    made = client.destination(rgw, "to-change", prefix="below/here")
    assert made["prefix"] == "below/here"
    path = f"/settings/backup-destinations/{made['id']}"
    assert client.call("PUT", path, {"name": "changed"})["name"] == "changed"
    kept = client.call("PUT", path, {"name": "changed", "access_key": "", "secret_key": "", "prefix": "below/here"})
    assert kept["prefix"] == "below/here"
    moved = {"prefix": "elsewhere", "access_key": rgw.access_key, "secret_key": rgw.secret_key}
    client.refusal("PUT", path, moved | {"access_key": "", "secret_key": ""})
    again = client.call("PUT", path, moved)
    assert (again["bucket"], again["prefix"], again["endpoint"]) == (made["bucket"], "elsewhere", rgw.url)
    client.refusal("PUT", path, {"secret_key": "not-the-one"})
    assert client.call("PUT", path, {"region": "eu-west-1"})["region"] == "eu-west-1"
    assert client.call("PUT", path, {"name": "still there"})["region"] == "eu-west-1"
    assert "region" not in client.call("PUT", path, {"region": ""})
    client.refusal("PUT", path, {"provider": "minio", "endpoint": None})
    client.call("DELETE", path, status=204)
    assert client.refusal("GET", path, status=404)["message"] == "backup destination not found"


def test_a_destination_in_use_stays(client, place, database):
    client.refusal("DELETE", f"/settings/backup-destinations/{place['id']}", status=409)


# databases


def test_a_database_is_made_and_shows_its_password_once(client, database):
    assert len(database["password"]) >= 20 and database["type"] == "postgres" and database["project_id"] == "shop"
    seen = client.call("GET", f"/databases/{database['id']}")
    assert "password" not in seen
    assert (seen["status"], seen["backups_enabled"], seen["version"]) == ("running", True, "15")
    assert database["id"] in [each["id"] for each in client.call("GET", "/databases?projectId=shop")]
    assert client.call("GET", "/databases?projectId=another") == []
    assert client.call("GET", "/databases/check-name?name=my-db&projectId=shop") == {"name": "my-db", "available": False}
    assert client.call("GET", "/databases/check-name?name=free")["available"] is True
    client.refusal("POST", "/databases", {"name": "my-db", "type": "postgres"}, 409)


def test_other_engines_are_refused_with_the_reason(client):
    for engine in ("mysql", "redis", "mongodb", "clickhouse"):
        assert engine in client.refusal("POST", "/databases", {"name": "other", "type": engine}, 501)["message"]
    client.refusal("POST", "/databases", {"name": "other", "type": "postgres", "version": "9"})


def test_a_database_is_changed_stopped_started_restarted_and_deleted(client):
    made = client.create("changing", user="shop", database="orders", password="first-password")
    assert (made["user"], made["database"], made["backups_enabled"]) == ("shop", "orders", False)
    path = f"/databases/{made['id']}"
    client.call("PUT", path, {"name": "changed", "project_id": "p", "password": "second-password"})
    assert client.wait_for(made["id"], "running")["name"] == "changed"
    began = client.open(made, "second-password").sql("SELECT pg_postmaster_start_time()")
    assert client.call("POST", path + "/stop")["status"] == "stopping"
    client.wait_for(made["id"], "stopped")
    client.refusal("POST", path + "/restart", status=409)
    assert client.call("POST", path + "/stop")["status"] == "stopped", "asked for again, it stays so"
    assert client.call("POST", path + "/start")["status"] == "starting"
    client.wait_for(made["id"], "running")
    assert client.call("POST", path + "/restart")["status"] == "updating"
    client.wait_for(made["id"], "running")
    assert client.open(made, "second-password").sql("SELECT pg_postmaster_start_time()") > began
    client.call("DELETE", path, status=204)
    wait_for("it is gone", lambda: client.raw("GET", path).status == 404, 60)
    assert client.refusal("GET", path, status=404)["message"] == "database not found"


# backups


def test_a_manual_backup_is_listed_with_its_size(client, database, place):
    made = client.call("POST", f"/databases/{database['id']}/backups", status=201)
    assert (made["status"], made["trigger"], made["type"]) == ("pending", "manual", "physical")
    done = client.wait_for_backup(database["id"], made["id"])
    assert done["status"] == "completed" and done["size_bytes"] > 1_000_000 and done["destination_id"] == place["id"]
    assert done["created_at"] <= done["started_at"] <= done["stored_at"] <= done["completed_at"]
    assert made["id"] in [each["id"] for each in client.call("GET", f"/databases/{database['id']}/backups")]
    client.call("DELETE", f"/databases/{database['id']}/backups/{made['id']}", status=204)
    client.refusal("GET", f"/databases/{database['id']}/backups/{NOBODY}", status=404)


def test_backups_are_turned_on_by_the_first_one_that_names_a_place(client, place):
    bare = client.create("bare")
    path = f"/databases/{bare['id']}/backups"
    assert [detail["field"] for detail in client.refusal("POST", path, status=409)["details"]] == ["/destination_id"]
    client.refusal("POST", path, {"destination_id": NOBODY})
    wrong = {"database_id": bare["id"], "destination_id": place["id"], "cron_expression": "never"}
    client.refusal("POST", "/backup-schedules", wrong)
    assert client.call("GET", f"/databases/{bare['id']}")["backups_enabled"] is False, "a refusal changes nothing"
    made = client.call("POST", path, {"destination_id": place["id"]}, 201)
    assert client.wait_for_backup(bare["id"], made["id"])["destination_id"] == place["id"]
    assert client.call("GET", f"/databases/{bare['id']}")["backups_enabled"] is True


def test_the_recovery_window_ends_a_moment_ago(client, database):
    window = client.call("GET", f"/databases/{database['id']}/recovery-window")
    assert window["available"] and window["earliest"] < window["latest"] and window["gaps"] == []
    bare = client.create("without-backups")
    assert client.call("GET", f"/databases/{bare['id']}/recovery-window") == {
        "database_id": bare["id"], "available": False, "gaps": []}


# recovery


def test_pitr_restores_beside_the_database_and_switch_takes_it_over(client, database):
    client.open(database).sql("INSERT INTO kept VALUES ('until')")
    then = moment(client, database)
    client.open(database).sql("INSERT INTO kept VALUES ('since')")
    now = words(client, database)
    candidate = client.call("POST", f"/databases/{database['id']}/pitr", printed("pitr", target_time=then), 201)
    assert candidate["id"] != database["id"] and candidate["restored_from"] == database["id"]
    assert candidate["project_id"] == database["project_id"]
    restored = client.wait_for(candidate["id"], "running")
    assert words(client, restored, database["password"]) == [word for word in now if word != "since"]
    assert words(client, database) == now, "the original goes on untouched"

    path = f"/databases/{database['id']}/switch"
    switched = client.call("POST", path)
    assert (switched["id"], switched["name"], switched["status"]) == (database["id"], "my-db", "updating")
    after = client.wait_for(database["id"], "running")
    assert [after[key] for key in ("host", "port", "user", "database")] == [
        database[key] for key in ("host", "port", "user", "database")]
    assert words(client, database) == [word for word in now if word != "since"]
    client.refusal("GET", f"/databases/{candidate['id']}", status=404)

    assert client.call("POST", path, {"rollback": True})["status"] == "updating"
    client.wait_for(database["id"], "running")
    assert words(client, database) == now


def test_pitr_clone_is_a_database_of_its_own(client, database):
    client.open(database).sql("INSERT INTO kept VALUES ('cloned')")
    then = moment(client, database)
    made = client.call("POST", f"/databases/{database['id']}/pitr-clone", printed("pitr-clone", target_time=then), 201)
    assert made["name"] == "my-db-clone" and "restored_from" not in made and made["status"] == "restoring"
    assert made["id"] in [listed["id"] for listed in client.call("GET", "/databases?projectId=shop")]
    clone = client.wait_for(made["id"], "running")
    assert "cloned" in words(client, clone, database["password"])
    client.refusal("POST", f"/databases/{database['id']}/switch", {"restored_database_id": made["id"]})


def test_a_time_out_of_reach_is_told_at_once(client, database):
    error = client.refusal("POST", f"/databases/{database['id']}/pitr", printed("pitr"))
    assert "2024-01-15" in error["message"] or "earliest" in error["message"]
    error = client.refusal("POST", f"/databases/{database['id']}/pitr", {"target_time": "yesterday"})
    assert [detail["field"] for detail in error["details"]] == ["/target_time"]


def test_a_backup_is_restored_by_its_id_in_both_ways(client, database):
    backup = client.call("POST", f"/databases/{database['id']}/backups", status=201)
    client.wait_for_backup(database["id"], backup["id"])
    held = words(client, database)
    client.open(database).sql("INSERT INTO kept VALUES ('too-late')")
    for path, body in ((f"/databases/{database['id']}/restore", {"backup_id": backup["id"]}),
                       (f"/backups/database/{backup['id']}/restore", None)):
        made = client.call("POST", path, body, 201)
        assert made["restored_from"] == database["id"]
        assert words(client, client.wait_for(made["id"], "running"), database["password"]) == held
        client.call("DELETE", f"/databases/{made['id']}", status=204)
    client.refusal("POST", f"/backups/database/{NOBODY}/restore", status=404)
    client.refusal("POST", f"/databases/{database['id']}/restore")


# imports


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def web(dumps):
    """Serves the directory of dumps."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(dumps))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(scope="module")
def empty(client) -> dict:
    return client.create("imports")


def imported(client: Client, database: dict, what: str, body, headers=None) -> dict:
    answer = client.raw("POST", f"/databases/{database['id']}/{what}", body, headers)
    assert answer.status == 201, answer.body
    started = answer.body["data"]
    assert started["status"] in ("pending", "running") and started["database_id"] == database["id"]

    def probe():
        seen = client.call("GET", f"/databases/{database['id']}/imports/{started['id']}")
        return seen if seen["status"] in ("completed", "failed") else None
    return wait_for("the import ends", probe, 60)


def multipart(content: bytes) -> tuple:
    head = b'--part\r\nContent-Disposition: form-data; name="file"; filename="dump.sql"\r\n\r\n'
    return head + content + b"\r\n--part--\r\n", {"Content-Type": "multipart/form-data; boundary=part"}


def test_a_dump_is_imported_however_it_comes(client, empty, dumps, web):
    def sql(word: str) -> bytes:
        return f"CREATE TABLE by_{word} (n int);\nINSERT INTO by_{word} VALUES (1);\n".encode()
    for word in ("path", "restore", "url"):
        (dumps / f"{word}.sql").write_bytes(sql(word))
    ways = {"body": ("import", sql("body"), {"Content-Type": "application/sql"}),
            "form": ("import", *multipart(sql("form"))),
            "path": ("import", {"path": str(dumps / "path.sql")}),
            "url": ("import", {"url": f"{web}/url.sql"}),
            "restore": ("restore-from-path", {"path": str(dumps / "restore.sql")})}
    for word, way in ways.items():
        done = imported(client, empty, *way)
        assert done["status"] == "completed" and done["format"] == "plain", (word, done)
    assert client.open(empty).tables() == sorted(f"by_{word}" for word in ways)


def test_a_dump_is_restored_from_an_object_of_a_destination(client, empty, rgw):
    there = client.destination(rgw, "dumps", prefix="below")
    rgw.put_all(there["bucket"], {"below/nightly/shop.sql": b"CREATE TABLE by_object (n int);\n"})
    way = ("restore-from-path", {"destination_id": there["id"], "path": "nightly/shop.sql"})
    assert imported(client, empty, *way)["status"] == "completed"
    assert "by_object" in client.open(empty).tables()
    gone = imported(client, empty, "restore-from-path", {"destination_id": there["id"], "path": "nightly/none.sql"})
    assert gone["status"] == "failed" and "nightly/none.sql" in gone["error"]
    client.refusal("POST", f"/databases/{empty['id']}/restore-from-path", {"destination_id": NOBODY, "path": "a"})


def test_a_dump_of_a_database_comes_back_whole(client, empty, database):
    held = client.open(database).fingerprints()
    dump = client.open(database).run("pg_dump", "--no-owner", "-t", "kept").encode()
    assert imported(client, empty, "import", dump, {"Content-Type": "application/octet-stream"})["status"] == "completed"
    assert client.open(empty).fingerprints()["kept"] == held["kept"]


def test_an_import_that_fails_names_the_line_and_changes_nothing(client, empty):
    before = client.open(empty).tables()
    wrong = b"CREATE TABLE half (n int);\nINSERT INTO half VALUES ('x');\n"
    failed = imported(client, empty, "import", wrong, {"Content-Type": "application/sql"})
    assert failed["status"] == "failed" and "line 2" in failed["error"]
    assert client.open(empty).tables() == before
    client.refusal("POST", f"/databases/{empty['id']}/import", {"path": "/etc/passwd"})
    client.refusal("POST", f"/databases/{empty['id']}/import", {})
    client.refusal("POST", f"/databases/{empty['id']}/restore-from-path", {})
    client.refusal("GET", f"/databases/{empty['id']}/imports/{NOBODY}", status=404)


# schedules


def test_a_schedule_as_printed_runs_and_is_changed(client, database, place):
    body = printed("create-schedule", database_id=database["id"], destination_id=place["id"])
    made = client.call("POST", "/backup-schedules", body, 201)
    assert (made["cron_expression"], made["retention_count"], made["timezone"]) == ("0 2 * * *", 7, "UTC")
    assert len(made["next_runs"]) == 5 and made["next_runs"][0] == made["next_run_at"]
    assert all(re.search(r"T02:00:00Z$", run) for run in made["next_runs"])
    path = f"/backup-schedules/{made['id']}"
    assert client.call("GET", path)["database_id"] == database["id"]
    assert made["id"] in [each["id"] for each in client.call("GET", "/backup-schedules?projectId=shop")]

    run = client.call("POST", path + "/run", status=201)
    assert run["schedule_id"] == made["id"]
    assert client.wait_for_backup(database["id"], run["id"])["destination_id"] == place["id"]
    changed = client.call("PUT", path, {"cron_expression": "30 3 * * 1", "timezone": "Europe/Berlin", "retention_count": 2})
    assert (changed["cron_expression"], changed["timezone"], changed["retention_count"]) == ("30 3 * * 1", "Europe/Berlin", 2)
    assert all(datetime.fromisoformat(each.replace("Z", "+00:00")).weekday() == 0 for each in changed["next_runs"])
    assert client.call("PUT", path, {"enabled": False})["next_runs"] == []
    client.call("DELETE", path, status=204)
    client.refusal("GET", path, status=404)


def test_a_schedule_may_send_its_backups_elsewhere(client, database, rgw):
    elsewhere = client.destination(rgw, "elsewhere")
    body = printed("create-schedule", database_id=database["id"], destination_id=elsewhere["id"])
    schedule = client.call("POST", "/backup-schedules", body, 201)
    assert schedule["destination_id"] == elsewhere["id"]
    run = client.call("POST", f"/backup-schedules/{schedule['id']}/run", status=201)
    assert client.wait_for_backup(database["id"], run["id"])["destination_id"] == elsewhere["id"]
    held = words(client, database)
    made = client.call("POST", f"/backups/database/{run['id']}/restore", {"new_name": "from-elsewhere"}, 201)
    assert made["name"] == "from-elsewhere"
    assert words(client, client.wait_for(made["id"], "running"), database["password"]) == held
    error = client.refusal("DELETE", f"/settings/backup-destinations/{elsewhere['id']}", status=409)
    assert "schedule" in error["message"]


def test_a_schedule_is_for_a_database_or_for_an_application(client, database):
    body = {"cron_expression": "0 2 * * *"}
    client.refusal("POST", "/backup-schedules", body)
    client.refusal("POST", "/backup-schedules", body | {"database_id": database["id"], "application_id": NOBODY})
    assert "volume" in client.refusal("POST", "/backup-schedules", body | {"application_id": NOBODY}, 501)["message"]
    client.refusal("POST", "/backup-schedules", body | {"database_id": NOBODY}, 404)
    error = client.refusal("POST", "/backup-schedules", {"database_id": database["id"], "cron_expression": "0 25 * * *"})
    assert [detail["field"] for detail in error["details"]] == ["/cron_expression"]


# volumes, and everything that is printed


def test_volume_calls_say_why_not(client):
    for method, path in (("GET", f"/applications/{NOBODY}/volume-backups"), ("POST", f"/applications/{NOBODY}/volume-backups"),
                         ("POST", f"/backups/volume/{NOBODY}/restore"), ("POST", f"/backups/volume/{NOBODY}/clone")):
        assert "volumes" in client.refusal(method, path, status=501)["message"]


def test_every_printed_call_is_there(client):
    described = {(method, path) for path, item in client.house.get("/api/openapi.json")["paths"].items()
                 for method in item if method != "servers"}
    for line in (PUBLISHED / "lnchr-calls.txt").read_text().splitlines():
        method, path = line.split(" ")
        assert (method.lower(), path.replace(":id", "{id}")) in described, line


# tenants and credentials


def test_the_same_behind_a_tenant_and_with_a_service_key(plane, client, database):
    behind = Client(plane, "lnchr-team", prefix="/lnchr-team", key_header=True)
    assert behind.call("GET", f"/databases/{database['id']}")["name"] == "my-db"
    assert database["id"] in [each["id"] for each in behind.call("GET", "/databases")]
    assert behind.call("GET", f"/databases/{database['id']}/recovery-window")["available"]
    Client(plane, "lnchr-other")
    elsewhere = Client(plane, "lnchr-team", prefix="/lnchr-other")
    assert elsewhere.refusal("GET", "/databases", status=404)["message"] == "tenant not found"
    other = Client(plane, "lnchr-other")
    other.refusal("GET", f"/databases/{database['id']}", status=404)
    assert other.call("GET", "/databases") == []


def test_who_sees_several_tenants_names_one(plane, client):
    admin = Client(plane, "lnchr-team")
    admin.token = plane.token_file.read_text().strip()
    assert "tenant" in admin.refusal("POST", "/databases", {"name": "x", "type": "postgres"})["message"]
    admin.prefix = "/lnchr-team"
    key = admin.call("POST", "/settings/service-keys", {"name": "of-one-tenant"}, 201)
    client_of_key = Client(plane, "lnchr-team", key_header=True)
    client_of_key.token = key["key"]
    assert [each["name"] for each in client_of_key.call("GET", "/databases")] == [
        each["name"] for each in admin.call("GET", "/databases")]
    client_of_key.prefix = "/lnchr-other"
    client_of_key.refusal("GET", "/databases", status=404)


def test_what_is_not_there_is_told_in_the_same_form(client):
    for method, path in (("GET", "/projects"), ("PATCH", "/databases"), ("GET", f"/databases/{NOBODY}"), ("GET", "/databases/1")):
        client.refusal(method, path, status=404)
    answer = client.raw("POST", "/databases", b"{", {"Content-Type": "application/json"})
    assert (answer.status, answer.body["error"]["code"]) == (400, "BAD_REQUEST")


def test_without_a_credential(plane):
    answer = Api(plane.url, None).raw("GET", "/api/v1/databases")
    assert answer.status == 401 and answer.body["error"]["code"] == "UNAUTHORIZED" and answer.body["success"] is False


# people and keys


def test_people_log_in_and_make_service_keys(own_server):
    admin = own_server.api()
    assert admin.get("/api/v1/auth/setup-status")["data"] == {"is_setup_complete": False}
    person = {"email": "ann@example.com", "password": "long enough", "first_name": "Ann", "last_name": "Lee"}
    assert Api(own_server.url, None).raw("POST", "/api/v1/auth/register", person).status == 403
    first = admin.raw("POST", "/api/v1/auth/register", person)
    assert first.status == 201 and first.body["data"]["user"]["role"] == "superadmin"
    assert admin.raw("POST", "/api/v1/auth/register", person).status == 409
    nobody = Api(own_server.url, None)
    assert nobody.raw("POST", "/api/v1/auth/login", {"email": "ann@example.com", "password": "wrong one"}).status == 401
    session = nobody.post("/api/v1/auth/login", {"email": "ann@example.com", "password": "long enough"})["data"]
    ann = Api(own_server.url, session["token"])
    assert ann.get("/api/v1/auth/me")["data"]["email"] == "ann@example.com"
    assert ann.call("PUT", "/api/v1/auth/me", {"first_name": "Anna"})["data"]["first_name"] == "Anna"
    ann.call("PUT", "/api/v1/auth/me/password", {"current_password": "long enough", "new_password": "longer than that"})

    made = ann.raw("POST", "/api/v1/settings/service-keys", {"name": "ci-cd"})
    assert made.status == 201
    key = made.body["data"]
    listed = ann.get("/api/v1/settings/service-keys")["data"]
    assert {"ci-cd", "admin"} == {each["name"] for each in listed}, "the operator's token is one too"
    assert not [each for each in listed if "key" in each]
    robot = {"x-lnchr-key": key["key"]}
    assert nobody.raw("GET", "/api/v1/databases", headers=robot).body == {"success": True, "data": []}
    assert nobody.raw("POST", "/api/v1/settings/service-keys", {"name": "more"}, headers=robot).status == 403
    assert ann.raw("DELETE", f"/api/v1/settings/service-keys/{key['id']}").status == 204
    assert nobody.raw("GET", "/api/v1/databases", headers=robot).status == 401
    ann.post("/api/v1/auth/logout")
    assert ann.raw("GET", "/api/v1/auth/me").status == 401
    for path in ("send-code", "verify-code"):
        assert nobody.raw("POST", f"/api/v1/auth/{path}", {"email": "ann@example.com"}).status == 501
