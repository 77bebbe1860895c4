"""The operator gives a destination up: its backups are lost, and say so; nothing waits for it any more."""
import shutil

from conftest import deploy

from support import bodies
from support.waiting import wait_for


def test_a_store_that_burned_down_is_given_up(own_server):
    api = own_server.api()
    team = api.get("/teams")[0]["id"]
    burned = bodies.directory_store(own_server.state_dir, "burned")
    shop = deploy(api, bodies.service(team, "shop", bodies.new_password(), burned))
    backup = api.wait_for_backup(shop.id)
    place = next(one for one in api.get("/api/destinations") if one["url"].endswith("/burned"))
    lost = f"/api/destinations/{place['id']}/lost"

    used = api.raw("POST", lost, {"name": place["name"]})
    assert (used.status, used.body["code"]) == (409, "conflict")
    assert "'shop'" in used.body["detail"] and "elsewhere" in used.body["hint"]

    shutil.rmtree(own_server.state_dir / "stores/burned")
    api.patch(f"/managed-services/{shop.id}",
              {"backups": bodies.directory_store(own_server.state_dir, "safe")})
    api.wait_for_state(shop.id, "synchronized", 120)

    wrong = api.raw("POST", lost, {"name": "another"})
    assert (wrong.status, wrong.body["errors"][0]["pointer"]) == (400, "/name")
    preview = api.post(lost + "?dryRun=true", {"name": place["name"]})
    assert "1 backup of 1 service" in preview["effects"][0] and "lostAt" not in api.get(f"/api/destinations/{place['id']}")
    assert api.post(lost, {"name": place["name"]})["lostAt"]

    shown = api.get(f"/api/backups/{backup['id']}")
    assert shown["state"] == "lost" and "declared lost" in shown["error"] and shown["nextStep"]
    assert "confirmedAt" not in shown and "storedAt" not in shown
    assert backup["id"] not in [entry["id"] for entry in api.service(shop.id)["backups"]["entries"]]
    refused = api.raw("POST", "/managed-services", bodies.service(team, "copy", bodies.new_password()) | {
        "recoverFrom": {"id": backup["id"], "config": {}, "secrets": {}}})
    assert (refused.status, refused.body["code"]) == (400, "recovery_out_of_reach") and "is lost" in refused.body["detail"]
    names = [event["eventName"] for event in api.get("/api/events")]
    assert "destination.lost" in names and "backups.lost" in names
    assert [entry["status"] for entry in api.get("/api/audit?operation=destinations-lose")] == [200, 200, 400, 409]

    again = wait_for("a backup at the new place", lambda: next(
        (one for one in api.backups(shop.id) if one["state"] == "completed" and one.get("confirmedAt")), None), 120)
    assert again["destinationId"] != place["id"]
    api.delete(f"/api/backups/{backup['id']}")
    assert api.raw("GET", f"/api/backups/{backup['id']}").status == 404
