"""Guidewire's calls against real servers: every request of the published guide run by a shell as printed, and what the
guide does not say as docs/compat/guidewire.md decides it."""
import base64
import json
import re
import subprocess
import urllib.parse
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from support import bodies
from support.api import Answer, Api
from support.database import Database
from support.waiting import wait_for

PUBLISHED = Path(__file__).parent / "published"
READ, WRITE = "gcc.deployments.read", "gcc.deployments.write"
SCOPES = f"tenant.example {READ} {WRITE}"
RESTORE = "project.test gcc.projects.write"


def printed(name: str) -> str:
    return (PUBLISHED / f"guidewire-{name}").read_text()


def parsed(time_text: str) -> datetime:
    return datetime.strptime(time_text, "%Y-%m-%dT%H:%M:%SZ")


class Tenant:
    """A customer: the team 'example' with a client, and a star system 'test' of two planets."""

    def __init__(self, server, rgw):
        self.server, self.rgw, self.admin = server, rgw, server.api()
        self.team = self.admin.post("/api/teams", {"name": "Example"})["id"]
        self.client = self.admin.post("/api/tokens", {"name": "client", "scopes": ["write"], "teamIds": [self.team]})
        self.store = bodies.s3_store(rgw, rgw.make_bucket("guidewire"))
        self.password = bodies.new_password()

    def planet(self, name: str, stage: str = "dev", **labels) -> dict:
        labels = {"guidewire.project": "test", "guidewire.stage": stage, "guidewire.planet": name, **labels}
        body = bodies.service(self.team, f"service-of-{name}", self.password, self.store, labels=labels)
        return self.admin.post("/managed-services", body)

    def database(self, planet: dict) -> Database:
        return Database.of(self.admin.details(planet["id"]), self.password)

    def ask(self, fields: dict, headers: dict = {}, server: str = "aus1a2b3") -> Answer:
        """The OAuth call, unwatched: its body is a form."""
        headers = {"Content-Type": "application/x-www-form-urlencoded", **headers}
        return Api(self.server.url, None).exchange(
            "POST", f"/oauth2/{server}/v1/token", urllib.parse.urlencode(fields).encode(), headers)

    def credentials(self, scope: str) -> dict:
        return {"grant_type": "client_credentials", "scope": scope, "client_id": self.client["id"],
                "client_secret": self.client["token"]}

    def token(self, scope: str = SCOPES) -> str:
        answer = self.ask(self.credentials(scope))
        assert answer.status == 200, answer
        return answer.body["access_token"]

    def api(self, scope: str = SCOPES) -> Api:
        return Api(self.server.url, self.token(scope))

    def backup_id(self, planet: dict, backup_id: str) -> int:
        return next(b["number"] for b in self.admin.backups(planet["id"]) if b["id"] == backup_id)


SYSTEM = "/api/v1/tenants/example/starsystems/test"


def of_planet(name: str = "testbackup") -> str:
    return f"{SYSTEM}/planets/{name}/backups"


def ready(api: Api, backup_id: int, seconds: float = 180) -> dict:
    def probe():
        backup = api.get(f"{SYSTEM}/backups/{backup_id}")
        assert backup["status"] != "failed", backup
        return backup if backup["status"] == "succeeded" else None
    return wait_for(f"the backup {backup_id}", probe, seconds)


@pytest.fixture(scope="module")
def tenant(shared_server, rgw) -> Tenant:
    return Tenant(shared_server, rgw)


@pytest.fixture(scope="module")
def planet(tenant) -> dict:
    made = tenant.planet("testbackup")
    other = tenant.planet("other", "qa")
    tenant.admin.wait_for_state(made["id"], "synchronized", 180)
    tenant.admin.wait_for_state(other["id"], "synchronized", 180)
    tenant.admin.wait_for_backup(made["id"])
    return {**made, "other": other}


@pytest.fixture(scope="module")
def api(tenant, planet) -> Api:
    return tenant.api()


def run(tenant: Tenant, tmp_path: Path, name: str, **replaced: str) -> tuple:
    """A printed command run by a shell, with what a reader replaces replaced."""
    (tmp_path / ".curlrc").write_text('silent\nshow-error\nmax-time = 60\nwrite-out = "\\n%{http_code}"\n')
    command = printed(f"{name}.curl")
    words = {"baseURL": tenant.server.url, "tenantId": "example", "projectId": "test", "planetId": "testbackup", **replaced}
    for word, value in words.items():
        command = command.replace("{%s}" % word, value)
    assert not re.search(r"\{[a-zA-Z_]+\}", command), command
    done = subprocess.run(["sh", "-c", command], env={"PATH": "/usr/bin:/bin", "CURL_HOME": str(tmp_path)},
                          capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    text, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(text)


def test_the_guide_as_printed(tenant, planet, tmp_path):
    token = tenant.token()
    status, made = run(tenant, tmp_path, "create", access_token=token, body=printed("create-body.json"))
    assert status == 201 and made["status"] in ("pending", "in_progress") and made["displayStatus"] == "creating"
    number = str(made["id"])

    def succeeded():
        status, backup = run(tenant, tmp_path, "get", access_token=token, backupId=number)
        assert status == 200 and backup["status"] != "failed", backup
        return backup if backup["status"] == "succeeded" else None
    backup = wait_for("the printed backup", succeeded, 180)
    assert set(backup) >= {"id", "mechanism", "type", "environment", "status", "displayStatus", "errorMessage",
                           "startedAt", "completedAt", "expirationDate", "databaseToApplicationBuilds"}
    assert (backup["mechanism"], backup["type"]) == ("logical", "temporary")
    assert backup["environment"] == {"tenant": "example", "project": "test", "stage": "dev", "name": "testbackup"}
    assert backup["metadata"] == {"name": "sample backup", "description": "This is a sample backup."}
    assert (backup["displayStatus"], backup["errorMessage"]) == ("ready", None)
    assert backup["databaseToApplicationBuilds"] == {}
    assert parsed(backup["startedAt"]) <= parsed(backup["completedAt"])

    status, listed = run(tenant, tmp_path, "list-planet", access_token=token)
    assert status == 200 and backup in listed["backups"]
    status, listed = run(tenant, tmp_path, "list-system", access_token=token)
    assert status == 200 and backup in listed["backups"]
    assert {b["environment"]["name"] for b in listed["backups"]} == {"testbackup", "other"}
    assert [b["id"] for b in listed["backups"]] == sorted((b["id"] for b in listed["backups"]), reverse=True)

    assert run(tenant, tmp_path, "delete", access_token=token, backupId=number)[0] == 200
    status, refused = run(tenant, tmp_path, "get", access_token=token, backupId=number)
    assert status == 404 and refused["status"] == 404
    assert backup["id"] not in [b["id"] for b in run(tenant, tmp_path, "list-planet", access_token=token)[1]["backups"]]


def test_a_base_url_that_ends_with_a_slash(tenant, api, planet, tmp_path):
    status, listed = run(tenant, tmp_path, "list-system", baseURL=tenant.server.url + "/", access_token=api.token)
    assert status == 200 and listed["backups"]
    status, refused = run(tenant, tmp_path, "get", baseURL=tenant.server.url + "/", access_token=api.token, backupId="0")
    assert status == 404 and refused["path"].startswith("/api/v1/")
    assert api.get(f"{SYSTEM}/backups") == api.get(f"{SYSTEM}/backup")


def test_an_expiry_is_the_start_and_its_days_cut_to_the_hour(tenant, api, planet):
    made = api.post(of_planet(), {"mechanism": "logical", "temporary": True, "retentionPeriodInDays": 1})
    kept = tenant.admin.get(f"/api/backups?serviceId={planet['id']}")
    house = next(b for b in kept if b["number"] == made["id"])
    asked, expires = (datetime.fromisoformat(house[key].replace("Z", "+00:00")) for key in ("scheduledAt", "expiresAt"))
    assert abs(expires - asked - timedelta(days=1)) < timedelta(seconds=1)
    assert parsed(made["expirationDate"]) == expires.replace(minute=0, second=0, microsecond=0, tzinfo=None)
    ready(api, made["id"])
    api.delete(f"{SYSTEM}/backups/{made['id']}")


@pytest.mark.parametrize("change, field", [
    ({"retentionPeriodInDays": 15}, "/retentionPeriodInDays"),
    ({"retentionPeriodInDays": 0}, "/retentionPeriodInDays"),
    ({"retentionPeriodInDays": None}, "/retentionPeriodInDays"),
    ({"retentionPeriodInDays": "ten"}, "/retentionPeriodInDays"),
    ({"mechanism": "cold"}, "/mechanism"),
    ({"planetClass": "prod"}, "/planetClass"),
    ({"temporary": "yes"}, "/temporary"),
    ({"metadata": {"name": "x" * 201}}, "/metadata/name"),
    ({"metadata": {"description": "x" * 1025}}, "/metadata/description"),
])
def test_a_bad_field_is_named_and_nothing_is_taken(api, planet, change, field):
    before = api.get(of_planet())
    body = {**json.loads(printed("create-body.json")), **change}
    answer = api.raw("POST", of_planet(), {key: value for key, value in body.items() if value is not None})
    assert answer.status == 400 and field in answer.body["message"], answer
    assert set(answer.body) == {"timestamp", "status", "error", "message", "path"}
    assert (answer.body["status"], answer.body["error"], answer.body["path"]) == (400, "Bad Request", of_planet())
    assert api.get(of_planet()) == before


def test_every_refusal_has_the_same_form(tenant, api, planet):
    def refused(client, method, path, body=None):
        answer = client.raw(method, path, body)
        assert set(answer.body) == {"timestamp", "status", "error", "message", "path"}, answer
        assert answer.body["status"] == answer.status
        return answer.status
    assert refused(api, "POST", of_planet(), b"{") == 400
    assert refused(Api(tenant.server.url, None), "GET", f"{SYSTEM}/backups") == 401
    assert refused(Api(tenant.server.url, "bst_unknown"), "GET", f"{SYSTEM}/backups") == 401
    assert refused(api, "GET", f"{SYSTEM}/backups/999999") == 404
    assert refused(api, "GET", f"{SYSTEM}/backups/none") == 404
    assert refused(api, "GET", of_planet("nowhere")) == 404
    assert refused(api, "GET", "/api/v1/tenants/example/starsystems/nowhere/backups") == 404
    assert refused(api, "GET", "/api/v1/tenants/nobody/starsystems/test/backups") == 404
    assert refused(api, "PUT", f"{SYSTEM}/backups") == 405


def test_a_token_allows_what_its_scopes_say(tenant, planet):
    number = tenant.admin.backups(planet["id"])[-1]["number"]
    single = f"{SYSTEM}/backups/{number}"

    def statuses(scope: str) -> tuple:
        api = tenant.api(scope)
        body = {"temporary": True, "retentionPeriodInDays": 99}  # refused later than the scope
        return (api.raw("GET", single).status, api.raw("POST", of_planet(), body).status,
                api.raw("DELETE", f"{SYSTEM}/backups/999999").status,
                api.raw("POST", f"{SYSTEM}/planets/other/restoreDb", {"backupId": 999999}).status)
    assert statuses(f"tenant.example {READ}") == (200, 403, 403, 403)
    assert statuses(f"any.tenant {READ} {WRITE}") == (200, 400, 404, 403)
    assert statuses(f"tenant.example {READ} gcc.projects.write") == (200, 403, 403, 403), "the project's scope is missing"
    assert statuses("tenant.example project.test gcc.projects.write")[3] == 404
    assert statuses(f"{READ} {WRITE}") == (403, 403, 403, 403), "no tenant's scope"
    assert tenant.api(f"tenant.example {READ}").raw("GET", "/managed-services").status == 401, "403, in the contract's way"
    listed = tenant.api(f"tenant.example {READ}").raw("GET", f"/api/backups?serviceId={planet['id']}")
    assert listed.status == 200, "the house API knows the same token"


def test_other_tenants_see_nothing(tenant, planet):
    team = tenant.admin.post("/api/teams", {"name": "Stranger"})["id"]
    stranger = tenant.admin.post("/api/tokens", {"name": "stranger", "scopes": ["write"], "teamIds": [team]})
    number = tenant.admin.backups(planet["id"])[-1]["number"]
    api = Api(tenant.server.url, stranger["token"])
    for path in (f"{SYSTEM}/backups", f"{SYSTEM}/backups/{number}", of_planet()):
        assert api.raw("GET", path).status == 404
    own = f"/api/v1/tenants/stranger/starsystems/test/backups/{number}"
    assert api.raw("GET", own).status == 404
    asked = tenant.ask({**tenant.credentials(SCOPES), "client_id": stranger["id"], "client_secret": stranger["token"]})
    assert (asked.status, asked.body["error"]) == (400, "invalid_scope")


def test_tokens_come_by_client_credentials(tenant):
    answer = tenant.ask(tenant.credentials(SCOPES), server="default")
    assert answer.status == 200 and answer.headers["Cache-Control"] == "no-store"
    assert {**answer.body, "access_token": ""} == {"token_type": "Bearer", "expires_in": 3600, "access_token": "", "scope": SCOPES}
    pair = base64.b64encode(f"{tenant.client['id']}:{tenant.client['token']}".encode()).decode()
    basic = tenant.ask({"grant_type": "client_credentials", "scope": SCOPES}, {"Authorization": f"Basic {pair}"})
    assert basic.status == 200 and basic.body["access_token"] != answer.body["access_token"]
    listed = tenant.admin.get("/api/tokens")
    assert tenant.client["id"] in [t["id"] for t in listed]
    assert not [t for t in listed if t["name"] == "client" and t["id"] != tenant.client["id"]], "access tokens are no keys"


@pytest.mark.parametrize("change, status, error", [
    ({"client_secret": "bst_wrong"}, 401, "invalid_client"),
    ({"client_id": "somebody"}, 401, "invalid_client"),
    ({"client_secret": None}, 401, "invalid_client"),
    ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ({"grant_type": None}, 400, "invalid_request"),
    ({"scope": None}, 400, "invalid_scope"),
    ({"scope": f"tenant.nobody {READ}"}, 400, "invalid_scope"),
    ({"scope": "tenant.example everything"}, 400, "invalid_scope"),
])
def test_what_oauth_refuses(tenant, change, status, error):
    fields = {**tenant.credentials(SCOPES), **change}
    answer = tenant.ask({key: value for key, value in fields.items() if value is not None})
    assert (answer.status, answer.body["error"]) == (status, error), answer
    assert set(answer.body) == {"error", "error_description"}
    assert tenant.client["token"] not in json.dumps(answer.body)


def test_a_key_gives_no_more_than_it_has(tenant, planet):
    reader = tenant.admin.post("/api/tokens", {"name": "reader", "scopes": ["backups:read"], "teamIds": [tenant.team]})
    fields = {**tenant.credentials(""), "client_id": reader["id"], "client_secret": reader["token"]}
    assert tenant.ask({**fields, "scope": f"tenant.example {READ}"}).status == 200
    refused = tenant.ask({**fields, "scope": f"tenant.example {WRITE}"})
    assert (refused.status, refused.body["error"]) == (400, "invalid_scope")
    granted = Api(tenant.server.url, tenant.ask({**fields, "scope": f"tenant.example {READ}"}).body["access_token"])
    assert granted.raw("GET", of_planet()).status == 200
    tenant.admin.delete(f"/api/tokens/{reader['id']}")
    assert granted.raw("GET", f"{SYSTEM}/backups").status == 401, "an access token ends with its key"


def test_a_body_that_is_no_form(tenant):
    answer = Api(tenant.server.url, None).exchange("POST", "/oauth2/x/v1/token", tenant.credentials(SCOPES))
    assert (answer.status, answer.body["error"]) == (400, "invalid_request")


def test_backups_of_the_house_are_listed_and_deleted_here(tenant, api, planet):
    entry = tenant.admin.post(f"/managed-services/{planet['id']}/backups", {"mechanism": "logical"})
    confirmed = tenant.admin.wait_for_backup(planet["id"], entry["id"])
    backup = api.get(f"{SYSTEM}/backups/{confirmed['number']}")
    assert (backup["type"], backup["status"], backup["mechanism"]) == ("temporary", "succeeded", "logical")
    assert backup["metadata"] == {"name": None, "description": None}
    scheduled = [b for b in api.get(of_planet())["backups"] if b["type"] == "scheduled"]
    assert scheduled and all(b["mechanism"] == "physical" for b in scheduled)
    assert api.raw("DELETE", f"{SYSTEM}/backups/{confirmed['number']}").status == 200
    assert confirmed["id"] not in [b["id"] for b in tenant.admin.backups(planet["id"])
                                   if b["state"] not in ("deleting", "deleted")]


def test_a_permanent_backup_stays_until_it_is_deleted(tenant, api, planet):
    made = api.post(of_planet(), {"mechanism": "snapshot", "planetClass": "DEV", "temporary": False})
    assert (made["type"], made["mechanism"], made["expirationDate"]) == ("permanent", "physical", None)
    backup = ready(api, made["id"])
    house = next(b for b in tenant.admin.backups(planet["id"]) if b["number"] == backup["id"])
    assert house["pinned"] is True and "expiresAt" not in house
    assert api.raw("POST", of_planet(), {"mechanism": "snapshot", "temporary": False}).status == 201
    newest = api.get(of_planet())["backups"][0]
    ready(api, newest["id"])
    assert api.raw("DELETE", f"{SYSTEM}/backups/{made['id']}").status == 200


def test_a_backup_is_restored_into_another_planet_of_its_star_system(tenant, api, planet):
    source, target = tenant.database(planet), tenant.database(planet["other"])
    source.sql("CREATE TABLE kept (word text); INSERT INTO kept VALUES ('of testbackup')")
    target.sql("CREATE TABLE lost (word text)")
    made = api.post(of_planet(), {"mechanism": "physical", "temporary": True, "retentionPeriodInDays": 2})
    ready(api, made["id"])
    restorer = tenant.api(f"tenant.example {READ} {RESTORE}")
    path = f"{SYSTEM}/planets/other/restoreDb"
    assert restorer.raw("POST", path, {}).status == 400
    answer = restorer.raw("POST", path, {"databaseBackupId": made["id"],
                                         "applications": [{"application": "cc", "buildId": "cc/16/15"}]})
    assert answer.status == 202, answer
    assert answer.body["backupId"] == made["id"] and answer.body["environment"]["name"] == "other"
    recovery = tenant.admin.wait_for_operation(answer.body["operationId"], 240)
    assert recovery["state"] == "succeeded", recovery
    tenant.admin.wait_for_operation(recovery["result"]["switchOperationId"], 240)
    assert target.sql("SELECT word FROM kept") == "of testbackup"
    assert target.sql("SELECT count(*) FROM pg_tables WHERE tablename = 'lost'") == "0"
    assert source.sql("SELECT word FROM kept") == "of testbackup"


def test_nothing_is_restored_onto_a_production_planet(tenant, planet):
    number = tenant.admin.backups(planet["id"])[-1]["number"]
    labels = f"/managed-services/{planet['other']['id']}"
    tenant.admin.patch(labels, {"labels": {"guidewire.stage": "prod"}})
    try:
        restorer = tenant.api(f"tenant.example {READ} {RESTORE}")
        refused = restorer.raw("POST", f"{SYSTEM}/planets/other/restoreDb", {"backupId": number})
        assert refused.status == 409 and "production" in refused.body["message"]
    finally:
        tenant.admin.patch(labels, {"labels": {"guidewire.stage": "qa"}})


def test_backups_of_production_appear_where_its_label_says(tenant, api, planet):
    path = f"/managed-services/{planet['other']['id']}"
    tenant.admin.patch(path, {"labels": {"guidewire.stage": "prod", "guidewire.backups-project": "preprod"}})
    try:
        elsewhere = api.get("/api/v1/tenants/example/starsystems/preprod/backups")["backups"]
        assert elsewhere and {b["environment"]["name"] for b in elsewhere} == {"other"}
        assert "other" not in {b["environment"]["name"] for b in api.get(f"{SYSTEM}/backups")["backups"]}
        assert api.get(of_planet("other"))["backups"] == []
    finally:
        tenant.admin.patch(path, {"labels": {"guidewire.stage": "qa", "guidewire.backups-project": None}})


def test_a_planet_without_a_planet_label_has_the_services_name(tenant, api, planet):
    path = f"/managed-services/{planet['other']['id']}"
    tenant.admin.patch(path, {"labels": {"guidewire.planet": None}})
    try:
        assert api.get(of_planet("service-of-other"))["backups"]
        assert api.raw("GET", of_planet("other")).status == 404
    finally:
        tenant.admin.patch(path, {"labels": {"guidewire.planet": "other"}})
