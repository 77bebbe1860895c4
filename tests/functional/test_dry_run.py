"""What destructive calls would do, asked before they do it."""
from support import bodies
from support.api import Api


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
