"""Webhooks: events over HTTP, signed, tried again, and not lost when the server is killed."""
import pytest

from support import bodies
from support.receiver import Receiver
from support.waiting import wait_for


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


def hook(api, receiver, team: int, events: list) -> dict:
    made = api.post("/api/webhooks", {"teamId": team, "name": "ci", "url": receiver.url, "events": events})
    receiver.secret = made["secret"]
    return made


def place(server, team: int, name: str) -> dict:
    return {"teamId": team, "name": name, "config": bodies.directory_store(server.state_dir, name)["config"]}


def delivery(api, webhook: dict, state: str) -> dict:
    def probe():
        newest = api.get(f"/api/webhooks/{webhook['id']}/deliveries?limit=1")
        return newest[0] if newest and newest[0]["state"] == state and newest[0]["attempts"] else None
    return wait_for(f"a delivery {state}", probe, 20)


def test_events_arrive_signed_and_survive_a_kill(own_server, receiver):
    server, api = own_server, own_server.api()
    team = api.get("/teams")[0]["id"]
    made = hook(api, receiver, team, ["destination.*"])
    created = api.post("/api/destinations", place(server, team, "told"))
    wait_for("the first message", lambda: receiver.types() == ["destination.created"], 20)
    message_id, body = receiver.messages[0]
    event = api.get(f"/api/events?team={team}&name=destination.created&limit=1")[0]
    assert body == {"type": "destination.created", "timestamp": event["timestamp"], "data": event}
    assert delivery(api, made, "delivered")["id"] == message_id

    receiver.status = 503
    api.delete(f"/api/destinations/{created['id']}")
    failed = delivery(api, made, "pending")
    assert failed["lastStatus"] == 503 and "503" in failed["lastError"] and failed["nextAttemptAt"]
    assert api.get(f"/api/webhooks/{made['id']}")["failingSince"]
    server.kill()
    receiver.status = 200
    server.start()
    api = server.api()
    assert delivery(api, made, "delivered")["id"] == failed["id"]
    assert "failingSince" not in api.get(f"/api/webhooks/{made['id']}")
    assert set(receiver.types()) == {"destination.created", "destination.deleted"} and receiver.forged == 0


def test_a_webhook_is_tested_sent_again_and_disabled(server, api, team, receiver):
    made = hook(api, receiver, team, ["webhook.disabled"])
    sent = api.post(f"/api/webhooks/{made['id']}/test")
    wait_for("the test", lambda: receiver.types() == ["webhook.test"], 20)
    delivery(api, made, "delivered")
    receiver.status = 410
    api.post(f"/api/webhooks/{made['id']}/deliveries/{sent['id']}/redeliver")
    delivery(api, made, "failed")
    assert [message_id for message_id, _ in receiver.messages] == [sent["id"]] * 2
    seen = api.get(f"/api/webhooks/{made['id']}")
    assert seen["enabled"] is False and "410" in seen["disabledReason"]
    assert api.raw("POST", f"/api/webhooks/{made['id']}/test").status == 409
    assert api.get(f"/api/events?team={team}&name=webhook.disabled&limit=1")[0]["attributes"]["webhook.id"] == made["id"]
    assert api.patch(f"/api/webhooks/{made['id']}", {"enabled": True})["enabled"] is True
    api.delete(f"/api/webhooks/{made['id']}")


def test_addresses_and_names_that_cannot_be_are_refused(api, team):
    for url in ("http://169.254.169.254/latest/meta-data", "ftp://example.org/", "https://user:pw@example.org/"):
        answer = api.raw("POST", "/api/webhooks", {"teamId": team, "name": "x", "url": url})
        assert answer.status == 400 and answer.body["errors"][0]["pointer"] == "/url", answer.body
    answer = api.raw("POST", "/api/webhooks", {"teamId": team, "name": "x", "url": "https://example.org/", "events": ["no.such"]})
    assert answer.status == 400 and answer.body["errors"][0]["pointer"] == "/events"
    assert api.raw("POST", "/api/webhooks", {"teamId": 99999, "name": "x", "url": "https://example.org/"}).status == 404
