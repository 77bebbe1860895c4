"""What destructive calls would do, asked before they do it."""
import secrets

from support import bodies
from support.api import Api
from support.providers import definition


def test_a_dry_run_of_a_deletion_tells_and_leaves_everything(server, api, team):
    store = bodies.directory_store(server.state_dir, "dry-run")
    service = api.post("/managed-services", bodies.service(team, "dry-run", bodies.new_password(), store))
    api.wait_for_state(service["id"], "synchronized")
    seen = api.delete(f"/managed-services/{service['id']}?dryRun=true")
    assert seen["dryRun"] is True and any("final backup" in effect for effect in seen["effects"]), seen
    skipped = api.delete(f"/managed-services/{service['id']}?dryRun=true&finalBackup=skip")
    assert any("no final backup" in effect for effect in skipped["effects"]), skipped
    assert api.service(service["id"])["status"]["state"] == "synchronized"
    entry = api.get(f"/api/audit?objectId={service['id']}&operation=managed-services-delete")[0]
    assert entry["parameters"]["dryRun"] == "true"

    restarts = api.patch(f"/managed-services/{service['id']}?dryRun=true", {"config": {"max_connections": 60}})
    assert restarts["restarts"] is True, restarts
    reloads = api.patch(f"/managed-services/{service['id']}?dryRun=true", {"config": {"work_mem": "8MB"}})
    assert reloads["restarts"] is False and any("work_mem" in effect for effect in reloads["effects"]), reloads
    assert "max_connections" not in api.service(service["id"])["config"]
    refused = api.raw("PATCH", f"/managed-services/{service['id']}?dryRun=true", {"config": {"fsync": "off"}})
    assert refused.status == 400

    first = api.wait_for_backup(service["id"])
    assert api.raw("DELETE", f"/api/backups/{first['id']}?dryRun=true").status == 409, "the last good one must stay"
    second = api.post(f"/managed-services/{service['id']}/backups")
    api.wait_for_backup(service["id"], second["id"])
    assert "removed" in api.delete(f"/api/backups/{second['id']}?dryRun=true")["effects"][0]
    assert api.get(f"/api/backups/{second['id']}")["state"] == "completed"
    api.delete(f"/managed-services/{service['id']}?finalBackup=skip")


def test_dry_runs_of_tokens_destinations_and_providers(server, api, team):
    made = api.post("/tokens", {"name": "stays", "role": "viewer", "teamIds": [team]})
    assert "revoked" in api.delete(f"/tokens/{made['id']}?dryRun=true")["effects"][0]
    assert Api(server.url, made["token"]).get("/teams")
    place = {"teamId": team, "name": "stays", "config": bodies.directory_store(server.state_dir, "stays")["config"]}
    destination = api.post("/api/destinations", place)
    assert api.delete(f"/api/destinations/{destination['id']}?dryRun=true")["effects"]
    assert api.get(f"/api/destinations/{destination['id']}")["name"] == "stays"
    assert api.raw("DELETE", "/managed-services/providers/postgresql/15?dryRun=true").status == 400
    assert api.delete(f"/api/destinations/{destination['id']}") == {}


def test_a_dry_run_refuses_a_name_that_is_taken_as_the_rename_does(server, api, team):
    first, second = (api.post("/managed-services", bodies.service(team, name, bodies.new_password()))["id"]
                     for name in ("taken", "wants-it"))
    for made in (first, second):
        api.wait_for_state(made, "synchronized", 120)
    answers = [api.raw("PATCH", f"/managed-services/{second}{query}", {"name": "taken"}) for query in ("?dryRun=true", "")]
    assert [(answer.status, answer.body["code"], answer.body["errors"][0]["pointer"]) for answer in answers] == [
        (400, "already_exists", "/name")] * 2
    for made in (first, second):
        api.delete(f"/managed-services/{made}")


def test_dry_runs_of_publishing_and_changing_a_provider(api):
    name = "d" + secrets.token_hex(6)
    body, path = definition(name, "http://127.0.0.1:9/api", "key"), f"/managed-services/providers/{name}/v1"
    told = api.raw("PUT", "/managed-services/providers?dryRun=true", body).body
    assert told["dryRun"] is True and "is published" in told["effects"][0] and "does not answer" in told["effects"][0]
    assert api.raw("GET", path).status == 404
    assert api.raw("PUT", "/managed-services/providers", body).status == 200
    assert "is changed: displayName" in api.patch(f"{path}?dryRun=true", {"displayName": "New"})["effects"][0]
    assert api.raw("PUT", "/managed-services/providers?dryRun=true", body).body["effects"] == ["nothing changes"]
    assert api.raw("PATCH", f"{path}?dryRun=true", {"plans": []}).body["errors"][0]["pointer"] == "/plans"
    assert api.get(path)["displayName"] == name.title()
    api.delete(path)
