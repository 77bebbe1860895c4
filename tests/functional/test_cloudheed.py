"""Cloudheed's clients: every request of the published backups guide, run by a shell as printed (host, token and ids aside),
and the calls around it, on a real PostgreSQL and a real S3 store."""
import datetime
import json
import re
import shlex
import subprocess
import time
import urllib.parse
from pathlib import Path

import pytest

from support import contract
from support.api import Answer, Api
from support.database import Database
from support.waiting import wait_for

PUBLISHED = Path(__file__).parent / "published"
WHOLE_SECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


class Cloud:
    """An organization with a token, a bucket of its own, and a shell with curl."""

    def __init__(self, server, rgw, home: Path, name: str):
        self.server, self.rgw, self.home = server, rgw, home
        self.admin = server.api()
        self.team = self.admin.post("/api/teams", {"name": name})["id"]
        self.bucket = rgw.make_bucket(name)
        self.admin.post("/api/destinations", {"teamId": self.team, "name": "bucket", "isDefault": True,
                                              "config": {"endpointUrl": rgw.url, "destinationPath": f"s3://{self.bucket}/"},
                                              "secrets": {"accessKey": rgw.access_key, "secretKey": rgw.secret_key}})
        self.token = self.make_token(["write"])
        self.api = Api(server.url, self.token)
        (home / ".curlrc").write_text('silent\nshow-error\nmax-time = 60\nwrite-out = "\\n%{http_code} %{content_type}"\n')

    def make_token(self, scopes: list) -> str:
        return self.admin.post("/api/tokens", {"name": "cloud", "scopes": scopes, "teamIds": [self.team]})["token"]

    def printed(self, name: str, database: str, **ids: str) -> Answer:
        """The guide's command, run; its answer is held against the API's description."""
        command = (PUBLISHED / f"cloudheed-{name}.curl").read_text()
        for old, new in {"https://api.cloudheed.com": self.server.url, "YOUR_TOKEN": self.token, "db-abc123": database,
                         **{old.replace("_", "-"): new for old, new in ids.items()}}.items():
            assert old in command
            command = command.replace(old, new)
        done = subprocess.run(["sh", "-c", command], env={"PATH": "/usr/bin:/bin", "CURL_HOME": str(self.home)},
                              capture_output=True, text=True, timeout=90)
        assert done.returncode == 0, done.stderr
        text, _, last = done.stdout.rpartition("\n")
        status, _, kind = last.partition(" ")
        answer = Answer(int(status), json.loads(text) if text else None, {"Content-Type": kind})
        words = shlex.split(command.replace("\\\n", ""))
        method = words[words.index("-X") + 1] if "-X" in words else "GET"
        url = next(word for word in words if word.startswith("http"))
        body = json.loads(words[words.index("-d") + 1]) if "-d" in words else None
        contract.watch(self.api, method, url.removeprefix(self.server.url), body, answer)
        return answer

    def make(self, name: str, tier: str = "small") -> dict:
        """A running database, with its password."""
        made = self.api.post("/v1/databases", {"name": name, "region": "nbg1", "tier": tier})
        return {**self.running(made["id"]), "connection_string": made["connection_string"]}

    def running(self, database: str, status: str = "running") -> dict:
        def probe():
            now = self.api.get(f"/v1/databases/{database}")
            return now if now["status"] == status else None
        return wait_for(f"{database} is {status}", probe, 180)

    def refused(self, method: str, path: str, body=None, token: str = "") -> Answer:
        """In the platform's form."""
        answer = Api(self.server.url, token or self.token).raw(method, path, body)
        assert answer.status >= 400, answer.body
        assert {"code", "message"} <= set(answer.body["error"]) and answer.body["meta"]["request_id"].startswith("req-")
        return answer

    def backups(self, database: str) -> list:
        return self.api.get(f"/v1/databases/{database}/backups")["backups"]

    def completed(self, database: str, backup: str = "") -> dict:
        """That backup, else the newest."""
        def probe():
            return next((b for b in self.backups(database) if b["status"] == "completed" and backup in b["id"]), None)
        return wait_for(f"backup {backup} of {database}", probe, 180)

    def stored(self, backup: str) -> bool:
        return any(f"/backups/{backup.removeprefix('backup-')}/record." in key for key in self.rgw.keys(self.bucket))


def reached(connection: str) -> Database:
    """By what a client keeps of an answer."""
    parts = urllib.parse.urlsplit(connection)
    assert parts.scheme == "postgresql" and parts.query == "sslmode=require"
    return Database(parts.hostname, parts.port, parts.username, parts.path[1:], parts.password)


def moved(connection: str, database: dict) -> Database:
    """The same password at another address."""
    return Database(database["host"], database["port"], database["username"], database["database"], reached(connection).password)


def days_between(earlier: str, later: str) -> float:
    earlier, later = (datetime.datetime.fromisoformat(text.replace("Z", "+00:00")) for text in (earlier, later))
    return (later - earlier) / datetime.timedelta(days=1)


def words(database: Database) -> list:
    return database.sql("SELECT word FROM kept ORDER BY 1").split()


@pytest.fixture(scope="module")
def new_cloud(shared_server, rgw, tmp_path_factory):
    return lambda name: Cloud(shared_server, rgw, tmp_path_factory.mktemp(name), name)


@pytest.fixture(scope="module")
def cloud(new_cloud) -> Cloud:
    return new_cloud("cloudheed")


@pytest.fixture(scope="module")
def orders(cloud) -> dict:
    """A small database with a row and its first automatic backup."""
    made = cloud.api.raw("POST", "/v1/databases", {"name": "orders", "region": "fsn1", "tier": "small"})
    assert made.status == 201
    orders = made.body
    assert orders["status"] == "provisioning" and re.fullmatch(r"db-[0-9a-f-]{36}", orders["id"])
    assert (orders["type"], orders["region"], orders["tier"]) == ("postgres", "fsn1", "small")
    assert WHOLE_SECONDS.fullmatch(orders["created_at"]) and len(orders["password"]) > 20
    cloud.running(orders["id"])
    reached(orders["connection_string"]).sql("CREATE TABLE kept (word text); INSERT INTO kept VALUES ('before')")
    return orders


def test_a_database_is_what_its_tier_says(cloud, orders):
    shown = cloud.api.get(f"/v1/databases/{orders['id']}")
    assert shown["status"] == "running" and "password" not in shown
    database = reached(orders["connection_string"])
    assert shown["connection_string"] == orders["connection_string"].replace(orders["password"], "****")
    assert (shown["host"], shown["port"], shown["database"], shown["username"]) == (database.host, database.port, database.name, "cloudheed")
    # Three of them are for management.
    assert database.sql("SHOW max_connections; SHOW superuser_reserved_connections").split() == ["93", "3"]
    assert database.sql("SHOW server_version_num").startswith(shown["version"])
    service = cloud.admin.service(orders["id"].removeprefix("db-"))
    assert service["plan"] == {"id": 12, "parameters": {}} and service["labels"] == {"cloudheed.region": "fsn1"}
    assert (service["backups"]["enabled"], service["backups"]["intervalH"], service["backups"]["deleteRetentionDays"]) == (True, 24, 14)


def test_databases_are_listed_in_pages(cloud, orders):
    listed = cloud.api.get("/v1/databases?page=1&per_page=1&status=running&region=fsn1")
    assert [item["name"] for item in listed["databases"]] == ["orders"]
    assert set(listed["databases"][0]) == {"id", "name", "region", "tier", "version", "status", "created_at"}
    assert listed["meta"] == {"page": 1, "per_page": 1, "total": 1, "total_pages": 1}
    assert cloud.api.get("/v1/databases?region=sin") == {"databases": [], "meta": {"page": 1, "per_page": 20, "total": 0, "total_pages": 0}}
    assert cloud.refused("GET", "/v1/databases?per_page=101").body["error"]["details"][0]["field"] == "per_page"


def test_every_request_of_the_guide_does_as_it_says(cloud, orders):
    automatic = cloud.completed(orders["id"])
    listed = cloud.printed("list", orders["id"])
    assert listed.status == 200 and listed.body["backups"] == [automatic]
    assert automatic["database_id"] == automatic["instance_id"] == orders["id"] and automatic["type"] == "automatic"
    assert re.fullmatch(r"backup-[0-9a-f-]{36}", automatic["id"]) and automatic["size_bytes"] > 10_000_000 and "name" not in automatic
    assert days_between(automatic["created_at"], automatic["expires_at"]) == 14
    assert automatic["created_at"] <= automatic["started_at"] <= automatic["completed_at"] and cloud.stored(automatic["id"])

    asked = cloud.printed("create", orders["id"])
    assert asked.status == 202
    assert {key: asked.body[key] for key in ("database_id", "name", "type", "status")} == {
        "database_id": orders["id"], "name": "pre-migration-backup", "type": "manual", "status": "in_progress"}
    manual = cloud.completed(orders["id"], asked.body["id"])
    assert manual["expires_at"] is None and manual["name"] == "pre-migration-backup" and cloud.stored(manual["id"])
    assert cloud.backups(orders["id"]) == [manual, automatic]
    assert cloud.api.get(f"/v1/databases/{orders['id']}/backups/{manual['id']}") == manual

    original = reached(orders["connection_string"])
    original.sql("INSERT INTO kept VALUES ('after')")
    restored = cloud.printed("restore", orders["id"], backup_123=manual["id"])
    assert restored.status == 202 and restored.body["name"] == "restored-db" and restored.body["status"] == "provisioning"
    there = cloud.running(restored.body["id"])
    assert (there["tier"], there["region"], there["version"]) == ("small", "fsn1", orders["version"])
    assert words(moved(orders["connection_string"], there)) == ["before"]
    assert words(original) == ["after", "before"]

    refused = cloud.refused("DELETE", f"/v1/databases/{orders['id']}/backups/{automatic['id']}")
    assert refused.status == 409 and refused.body["error"]["code"] == "resource_conflict"
    assert "managed by the system" in refused.body["error"]["message"]
    cloud.completed(there["id"])  # until then all that it has is what it was restored from
    assert cloud.printed("delete", orders["id"], backup_124=manual["id"]).status == 204
    assert cloud.backups(orders["id"]) == [automatic]
    assert cloud.refused("DELETE", f"/v1/databases/{orders['id']}/backups/{manual['id']}").status == 404
    assert cloud.api.raw("DELETE", f"/v1/databases/{there['id']}").status == 204


def test_a_restored_database_has_a_name_by_default(cloud, orders):
    backup = cloud.completed(orders["id"])["id"]
    made = cloud.api.post(f"/v1/databases/{orders['id']}/backups/{backup}/restore")
    assert re.fullmatch(r"orders-restored-\d{8}-\d{6}", made["name"])
    taken = cloud.refused("POST", f"/v1/databases/{orders['id']}/backups/{backup}/restore", {"target_database_name": "orders"})
    assert (taken.status, taken.body["error"]["code"]) == (409, "resource_conflict")
    wrong = cloud.refused("POST", f"/v1/databases/{orders['id']}/backups/{backup}/restore", {"target_database_name": "Orders--2"})
    assert wrong.status == 422 and wrong.body["error"]["details"][0]["field"] == "target_database_name"
    cloud.running(made["id"])
    assert cloud.api.raw("DELETE", f"/v1/databases/{made['id']}").status == 204


def test_a_time_is_recovered_into_a_new_database(cloud, orders):
    cloud.completed(orders["id"])
    database = reached(orders["connection_string"])
    database.sql("CREATE TABLE kept_then (word text); INSERT INTO kept_then VALUES ('good')")
    then = database.sql("SELECT date_trunc('second', clock_timestamp() + interval '1 second')")
    wait_for("the second has passed", lambda: database.sql(f"SELECT clock_timestamp() > '{then}'") == "t", 10)
    database.sql("INSERT INTO kept_then VALUES ('bad')")
    target = then.replace(" ", "T").replace("+00", "Z")

    window = cloud.api.get(f"/v1/databases/{orders['id']}/pitr/window")
    assert WHOLE_SECONDS.fullmatch(window["earliest_recovery_time"]) and window["earliest_recovery_time"] < target
    begun = cloud.api.raw("POST", f"/v1/databases/{orders['id']}/pitr", {"target_time": target, "target_database_name": "orders-then"})
    assert begun.status == 202 and begun.body["status"] == "in_progress" and begun.body["target_time"] == target
    assert (begun.body["database_id"], begun.body["target_database_name"]) == (orders["id"], "orders-then")

    def finished():
        job = cloud.api.get(f"/v1/databases/{orders['id']}/pitr/{begun.body['id']}")
        assert job["status"] != "failed", job
        return job if job["status"] == "completed" else None
    job = wait_for("the recovery", finished, 180)
    assert job["target_time"] == target and WHOLE_SECONDS.fullmatch(job["completed_at"])
    there = cloud.running(job["restored_database_id"])
    assert moved(orders["connection_string"], there).sql("SELECT word FROM kept_then") == "good"
    assert cloud.refused("GET", f"/v1/databases/{there['id']}/pitr/{begun.body['id']}").status == 404
    assert cloud.api.raw("DELETE", f"/v1/databases/{there['id']}").status == 204

    outside = cloud.refused("POST", f"/v1/databases/{orders['id']}/pitr", {"target_time": "2020-01-01T00:00:00Z"})
    assert outside.status == 422 and outside.body["error"]["details"][0]["field"] == "target_time"


def test_a_database_goes_on_with_a_backup_in_place(cloud):
    shop = cloud.make("shop")
    database = reached(shop["connection_string"])
    database.sql("CREATE TABLE kept (word text); INSERT INTO kept VALUES ('before')")
    backup = cloud.completed(shop["id"], cloud.api.post(f"/v1/databases/{shop['id']}/backups")["id"])
    assert "name" not in backup
    database.sql("INSERT INTO kept VALUES ('mistake')")
    begun = cloud.api.raw("POST", f"/v1/databases/{shop['id']}/restore", {"backup_id": backup["id"]})
    assert begun.status == 202
    assert begun.body == {"message_code": "restore_initiated", "backup_id": backup["id"], "status": "pending"}

    def restored():
        try:
            return words(database) == ["before"]
        except RuntimeError:
            return False
    wait_for("the data of the backup at the old address", restored, 180)
    assert cloud.running(shop["id"])["name"] == "shop"
    names = [item["name"] for item in cloud.api.get("/v1/databases?per_page=100")["databases"]]
    assert names.count("shop") == 1 and not [name for name in names if name.startswith("shop-")]
    missing = cloud.refused("POST", f"/v1/databases/{shop['id']}/restore", {"backup_id": "backup-1"})
    assert missing.status == 422 and missing.body["error"]["details"][0]["field"] == "backup_id"


def test_a_database_is_stopped_resized_and_renamed(cloud):
    made = cloud.make("changing", "micro")
    cloud.completed(made["id"])
    path = f"/v1/databases/{made['id']}"
    assert cloud.api.post(path + "/stop") == {"id": made["id"], "status": "stopping", "message": "the database is stopping"}
    cloud.running(made["id"], "stopped")
    assert cloud.api.post(path + "/start")["status"] == "starting"
    cloud.running(made["id"])
    assert cloud.api.post(path + "/start")["status"] == "running"

    assert cloud.api.post(path + "/resize", {"tier": "medium"}) == {"id": made["id"], "tier": "medium", "status": "resizing"}
    assert cloud.running(made["id"])["tier"] == "medium"
    database = reached(made["connection_string"])
    wait_for("the tier's connections", lambda: database.sql("SHOW max_connections") == "123", 60)
    before = database.sql("SELECT pg_postmaster_start_time()")
    assert cloud.api.post(path + "/restart") == {"id": made["id"], "status": "restarting"}
    cloud.running(made["id"])

    new = cloud.api.post(path + "/reset-password")
    assert reached(new["connection_string"]).password == new["password"] != database.password
    assert reached(new["connection_string"]).sql("SELECT pg_postmaster_start_time()") > before
    with pytest.raises(RuntimeError, match="password authentication failed"):
        database.sql("SELECT 1")

    renamed = cloud.api.patch(path, {"name": "changed"})
    assert renamed["name"] == "changed" and renamed["id"] == made["id"]
    assert cloud.api.raw("DELETE", path).status == 204
    wait_for("it is gone", lambda: cloud.api.raw("GET", path).status == 404, 120)
    assert cloud.refused("POST", path + "/start").status == 404


def test_what_a_tier_does_not_grant_costs_more(new_cloud):
    cloud = new_cloud("free-tier")
    free = cloud.make("hobby", "free")
    second = cloud.refused("POST", "/v1/databases", {"name": "second", "region": "fsn1", "tier": "free"})
    assert (second.status, second.body["error"]["code"]) == (402, "payment_required")
    assert second.body["error"]["details"][0]["field"] == "tier"
    assert cloud.refused("GET", f"/v1/databases/{free['id']}/pitr/window").status == 402
    earlier = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert cloud.refused("POST", f"/v1/databases/{free['id']}/pitr", {"target_time": earlier}).status == 402

    # 500 MiB for the data and what is backed up by hand.
    automatic = cloud.completed(free["id"])
    assert days_between(automatic["created_at"], automatic["expires_at"]) == 1
    database = reached(free["connection_string"])
    database.sql("CREATE TABLE filler (page text); ALTER TABLE filler ALTER page SET STORAGE PLAIN;"
                 "INSERT INTO filler SELECT repeat('x', 7000) FROM generate_series(1, 19000)")
    first = cloud.completed(free["id"], cloud.api.post(f"/v1/databases/{free['id']}/backups", {"name": "one"})["id"])
    assert first["size_bytes"] > 160 << 20
    refused = cloud.refused("POST", f"/v1/databases/{free['id']}/backups", {"name": "two"})
    assert (refused.status, refused.body["error"]["code"]) == (402, "payment_required")
    assert [backup["id"] for backup in cloud.backups(free["id"])] == [first["id"], automatic["id"]]
    # Nobody is kept from his data because he has too much.
    restored = cloud.api.post(f"/v1/databases/{free['id']}/backups/{automatic['id']}/restore")
    assert cloud.running(restored["id"])["tier"] == "free"


def test_without_a_default_destination_no_database_is_made(cloud):
    """And the answer speaks of it in words that its client knows."""
    team = cloud.admin.post("/api/teams", {"name": "without a place"})["id"]
    token = cloud.admin.post("/api/tokens", {"name": "placeless", "scopes": ["write"], "teamIds": [team]})["token"]
    refused = cloud.refused("POST", "/v1/databases", {"name": "nowhere", "region": "fsn1", "tier": "small"}, token)
    error = refused.body["error"]
    assert (refused.status, error["code"]) == (422, "validation_error")
    assert "no default destination" in error["message"] and "details" not in error, error
    assert Api(cloud.server.url, token).get("/v1/databases")["databases"] == []


def test_refusals_have_the_form_of_the_platform(cloud, orders):
    unknown = "db-00000000-0000-4000-8000-000000000000"
    assert cloud.refused("GET", f"/v1/databases/{unknown}").body["error"]["code"] == "resource_not_found"
    assert cloud.refused("GET", f"/v1/databases/{orders['id'].removeprefix('db-')}/backups").status == 404
    assert cloud.refused("GET", "/v1/nothing").status == 404
    denied = Api(cloud.server.url, "ch_live_wrong").raw("GET", "/v1/databases")
    assert (denied.status, denied.body["error"]["code"]) == (401, "invalid_token")
    for body, field in (({"name": "x", "region": "fsn1", "tier": "small"}, "name"),
                        ({"name": "Upper", "region": "fsn1", "tier": "small"}, "name"),
                        ({"name": "double--hyphen", "region": "fsn1", "tier": "small"}, "name"),
                        ({"name": "ends-", "region": "fsn1", "tier": "small"}, "name"),
                        ({"name": "fine", "region": "moon", "tier": "small"}, "region"),
                        ({"name": "fine", "region": "fsn1", "tier": "huge"}, "tier"),
                        ({"name": "fine", "region": "fsn1", "tier": "small", "version": "13"}, "version"),
                        ({"name": "fine", "region": "fsn1"}, "tier")):
        answer = cloud.refused("POST", "/v1/databases", body)
        assert (answer.status, answer.body["error"]["code"]) == (422, "validation_error"), answer.body
        assert [detail["field"] for detail in answer.body["error"]["details"]] == [field], answer.body
    assert cloud.refused("POST", "/v1/databases", b"{").status == 400
    taken = cloud.refused("POST", "/v1/databases", {"name": "orders", "region": "fsn1", "tier": "micro"})
    assert (taken.status, taken.body["error"]["code"]) == (409, "resource_conflict")


def test_every_answer_tells_the_rate_limit(cloud, orders):
    for answer in (cloud.api.raw("GET", f"/v1/databases/{orders['id']}/backups"), cloud.refused("GET", "/v1/databases/db-1"),
                   cloud.refused("POST", "/v1/databases", {"name": "x"})):
        assert int(answer.headers["X-RateLimit-Limit"]) >= int(answer.headers["X-RateLimit-Remaining"]) > 0
        assert abs(int(answer.headers["X-RateLimit-Reset"]) - time.time()) < 120


def test_a_token_does_what_its_scopes_say(cloud, orders):
    backup = cloud.completed(orders["id"])["id"]
    reader = cloud.make_token(["backups:read"])
    assert Api(cloud.server.url, reader).get(f"/v1/databases/{orders['id']}/backups")["backups"]
    for method, path, body in (("GET", "/v1/databases", None), ("GET", f"/v1/databases/{orders['id']}", None),
                               ("POST", f"/v1/databases/{orders['id']}/backups", {}),
                               ("POST", f"/v1/databases/{orders['id']}/backups/{backup}/restore", {}),
                               ("DELETE", f"/v1/databases/{orders['id']}/backups/{backup}", None),
                               ("POST", f"/v1/databases/{orders['id']}/restore", {"backup_id": backup})):
        refused = cloud.refused(method, path, body, reader)
        assert (refused.status, refused.body["error"]["code"]) == (403, "insufficient_permissions"), path


def test_keys_are_made_rotated_and_ended(cloud, orders):
    owner = Api(cloud.server.url, cloud.admin.token)
    organization = {"X-Organization-Id": str(cloud.team)}
    made = owner.raw("POST", "/v1/auth/api-keys", {"name": "ci", "scopes": ["backups:read", "databases:read"], "expires_in": "365d"}, organization)
    assert made.status == 201
    key = made.body
    assert key["api_key"].startswith("ch_live_") and key["scopes"] == ["databases:read", "backups:read"]
    assert 364.9 < days_between(key["created_at"], key["expires_at"]) < 365.1
    holder = Api(cloud.server.url, key["api_key"])
    assert [item["name"] for item in holder.get("/v1/databases?status=running")["databases"]].count("orders") == 1
    assert holder.raw("POST", f"/v1/databases/{orders['id']}/backups").status == 403
    assert key["id"] in [shown["id"] for shown in owner.get("/v1/auth/api-keys")["api_keys"]]
    shown = owner.get(f"/v1/auth/api-keys/{key['id']}")
    assert shown["name"] == "ci" and "api_key" not in shown

    rotated = owner.post(f"/v1/auth/api-keys/{key['id']}/rotate")
    assert rotated["id"] == key["id"] and rotated["token"].startswith("ch_live_") and rotated["token"] != key["api_key"]
    for text in (key["api_key"], rotated["token"]):
        assert Api(cloud.server.url, text).raw("GET", f"/v1/databases/{orders['id']}").status == 200
    assert owner.raw("DELETE", f"/v1/auth/api-keys/{key['id']}").status == 204
    for text in (key["api_key"], rotated["token"]):
        assert Api(cloud.server.url, text).raw("GET", f"/v1/databases/{orders['id']}").status == 401
    unknown = owner.raw("POST", "/v1/auth/api-keys", {"name": "ci", "scopes": ["billing:read"]})
    assert (unknown.status, unknown.body["error"]["details"][0]["field"]) == (422, "scopes.0")


def test_people_log_in_and_make_keys_of_their_own(cloud, orders):
    person = {"email": f"dev{cloud.team}@example.org", "password": "correct horse battery"}
    named = {"lastName": "Byron", "role": "user", "teamIds": [cloud.team]}
    # The first account of a server is an administrator's, whatever is asked for.
    cloud.admin.post("/api/accounts", {**person, **named, "email": f"first{cloud.team}@example.org", "firstName": "Anne"})
    cloud.admin.post("/api/accounts", {**person, **named, "firstName": "Ada"})
    session = Api(cloud.server.url, None).post("/v1/auth/login", person)
    assert session["user"]["email"] == person["email"] and session["user"]["name"] == "Ada Byron"
    wrong = Api(cloud.server.url, None).raw("POST", "/v1/auth/login", {**person, "password": "wrong horse"})
    assert (wrong.status, wrong.body["error"]["code"]) == (401, "invalid_token")
    ada = Api(cloud.server.url, session["token"])
    assert ada.get("/v1/auth/me")["id"] == session["user"]["id"]
    key = ada.post("/v1/auth/api-keys", {"name": "mine", "scopes": ["backups:read", "backups:write"]})
    assert [shown["id"] for shown in ada.get("/v1/auth/api-keys")["api_keys"]] == [key["id"]]
    holder = Api(cloud.server.url, key["api_key"])
    assert holder.get(f"/v1/databases/{orders['id']}/backups")["backups"] == cloud.backups(orders["id"])
    assert holder.raw("GET", "/v1/databases").status == 403
    assert holder.raw("POST", "/v1/auth/api-keys", {"name": "more", "scopes": ["read"]}).status == 403
    nobody = Api(cloud.server.url, None)
    for unknown in ("x", session["token"]):
        assert nobody.raw("POST", "/v1/auth/refresh", {"refresh_token": unknown}).status == 401
    after = nobody.post("/v1/auth/refresh", {"refresh_token": session["refresh_token"]})
    assert Api(cloud.server.url, after["token"]).get("/v1/auth/me")["id"] == after["user"]["id"]
    assert after["refresh_token"] != session["refresh_token"]
    assert nobody.raw("POST", "/v1/auth/refresh", {"refresh_token": session["refresh_token"]}).status == 401, "good once"


def test_what_the_house_made_is_here_too(cloud, orders):
    service = orders["id"].removeprefix("db-")
    pinned = cloud.admin.post(f"/managed-services/{service}/backups", {"pinned": True, "label": "kept"})["id"]
    assert (cloud.completed(orders["id"], pinned)["expires_at"], cloud.completed(orders["id"], pinned)["name"]) == (None, "kept")
    house = cloud.admin.post(f"/managed-services/{service}/backups")["id"]
    shown = cloud.completed(orders["id"], house)
    assert shown["type"] == "manual" and days_between(shown["created_at"], shown["expires_at"]) == 14
    resource = next(backup for backup in cloud.admin.get(f"/api/backups?serviceId={service}") if backup["id"] == house)
    assert (shown["size_bytes"], shown["completed_at"]) == (resource["dataBytes"], resource["confirmedAt"][:19] + "Z")
    assert cloud.api.raw("DELETE", f"/v1/databases/{orders['id']}/backups/{shown['id']}").status == 204
    assert house not in [backup["id"] for backup in cloud.admin.get(f"/api/backups?serviceId={service}") if backup["state"] != "deleting"]
