"""Backups that store what has changed since the one before, as a client sees them."""
from conftest import deploy

from support import bodies

SOME_ROWS = "UPDATE big SET text = 'changed' WHERE id % 2000 = {}; INSERT INTO words VALUES ('{}')"


def take(api, service_id: str, **wanted) -> dict:
    entry = api.post(f"/managed-services/{service_id}/backups", wanted or None)
    api.wait_for_backup(service_id, entry["id"])
    return api.get(f"/api/backups/{entry['id']}")


def test_a_second_backup_is_small_and_comes_back_like_any_other(shared_server):
    api = shared_server.api()
    team = api.get("/teams")[0]["id"]
    source = deploy(api, bodies.service(team, "grows", bodies.new_password(),
                                        bodies.directory_store(shared_server.state_dir, "grows")))
    first = api.wait_for_backup(source.id)
    first = api.get(f"/api/backups/{first['id']}")
    assert not first["incremental"] and "no earlier backup" in first["fullReason"]
    database = source.database()
    database.sql("CREATE TABLE words (word text); CREATE TABLE big AS "
                 "SELECT g AS id, repeat(md5(g::text), 8) AS text FROM generate_series(1, 40000) g; VACUUM FREEZE big")
    second = take(api, source.id)
    assert second["incremental"] and second["baseId"] == first["id"], second

    database.sql(SOME_ROWS.format(7, "third"))
    third = take(api, source.id)
    assert third["baseId"] == second["id"] and "fullReason" not in third
    assert third["dataBytes"] > 30e6 and third["storedBytes"] < second["storedBytes"] / 4 and third["confirmedAt"]
    assert third["readBytes"] < third["dataBytes"] / 4
    expected = database.dump()

    # What it was taken upon may go.
    api.delete(f"/api/backups/{second['id']}")
    made = deploy(api, bodies.service(team, "grown", bodies.new_password(), recoverFrom={"id": third["id"]}))
    assert made.database().dump() == expected

    database.sql(SOME_ROWS.format(8, "after the third"))
    time = source.now()
    full = take(api, source.id, full=True)
    assert not full["incremental"] and full["fullReason"] == "a full one was asked for"
    assert full["readBytes"] > full["dataBytes"] * 0.9
    database.sql("DROP TABLE big")
    begun = api.post("/api/recoveries", {"serviceId": source.id, "time": time, "into": "new", "name": "grown-more"})
    assert api.wait_for_operation(begun["operationId"], 240)["state"] == "succeeded"
    later = type(source)(api, source.body, api.wait_for_state(begun["service"]["id"], "synchronized"))
    assert later.database().sql("SELECT word FROM words ORDER BY 1").split("\n")[0] == "after the third"
    assert later.database().sql("SELECT count(*) FROM big WHERE text = 'changed'").strip() == "40"
