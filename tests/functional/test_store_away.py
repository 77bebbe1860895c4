"""A store that goes away for a while: the database never stops, the risk is shown, and archiving catches up."""
from conftest import deploy

from support import bodies
from support.load import Writer
from support.waiting import wait_for


def test_the_store_goes_away_and_comes_back(own_server, rgw):
    api = own_server.api()
    team = api.get("/teams")[0]["id"]
    store = bodies.s3_store(rgw, rgw.make_bucket("away"), "pg/")
    deployed = deploy(api, bodies.service(team, "patient", bodies.new_password(), store))
    api.wait_for_backup(deployed.id)
    window = f"/api/managed-services/{deployed.id}/recovery-window"
    before = api.get(window)["latest"]  # what is known when the store goes is what can be shown while it is away
    with Writer(deployed.database()) as writer:
        rgw.stop_gateway()
        try:
            writer.wait_for_more(200)
            risk = wait_for("the risk is shown", lambda: (lambda r: r if not r.get("storeReachable", True) else None)(
                api.get(window).get("atRisk", {})), 90)
            assert risk["bytes"] > 0 and risk["lastError"]
            wait_for("an event says so", lambda: "store.unreachable" in api.events_text(deployed.id), 60)
            latest_while_away = api.get(window)["latest"]
            writer.wait_for_more(200)
        finally:
            rgw.start_gateway()
        writer.wait_for_more(50)
        moment = deployed.now()
        wait_for("archiving catches up", lambda: api.get(window)["latest"] > moment, 120)
    assert not writer.refused, "the database never stopped"
    assert before <= latest_while_away < moment
    wait_for("an event says so", lambda: "store.reachable" in api.events_text(deployed.id), 60)

    moment = deployed.now()
    recovered = deploy(api, bodies.service(team, "all-of-it", bodies.new_password()) |
                       {"recoverFrom": bodies.recover(store, msId=deployed.id, time=moment)})
    writer.check(recovered.database())
