"""The event log as people use it: filtered, and listened to."""
import http.client
import json
import urllib.parse
import uuid

import pytest
from conftest import deploy

from support import bodies
from support.api import Api
from support.waiting import wait_for


class Listener:
    """One open stream of server-sent events."""

    def __init__(self, api: Api, path: str, last: str = ""):
        parts = urllib.parse.urlsplit(api.url)
        self.connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
        headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {api.token}"}
        if last:
            headers["Last-Event-ID"] = last
        self.connection.request("GET", path, headers=headers)
        self.answer = self.connection.getresponse()
        self.last = last

    def next(self) -> dict:
        """The next event; comments are passed over. Raises EOFError at the end of the stream."""
        fields = {}
        while True:
            line = self.answer.readline().decode()
            if not line:
                raise EOFError
            if line == "\n":
                if "data" in fields:
                    self.last = fields["id"]
                    return json.loads(fields["data"])
                fields = {}
            elif not line.startswith(":"):
                name, _, value = line.rstrip("\n").partition(": ")
                fields[name] = value

    def close(self):
        self.answer.close()
        self.connection.close()


@pytest.fixture
def team_token(api):
    """A team of its own with a token that sees nothing else."""
    team = api.post("/teams", {"name": f"Listeners {uuid.uuid4()}"})["id"]
    token = api.post("/tokens", {"name": "listener", "scopes": ["write"], "teamIds": [team]})
    yield team, token
    api.raw("DELETE", f"/tokens/{token['id']}")


def place(server, team: int, name: str) -> dict:
    return {"teamId": team, "name": name, "config": {"destinationPath": f"file://{server.state_dir}/stores/{name}"}}


def test_a_listener_hears_what_happens_and_what_it_missed(server, team_token):
    team, token = team_token
    own = Api(server.url, token["token"])
    listener = Listener(own, "/api/events?name=destination.*")
    assert listener.answer.headers["Content-Type"] == "text/event-stream"
    made = own.post("/api/destinations", place(server, team, "heard"))
    assert listener.next()["eventName"] == "destination.created"
    listener.close()
    own.delete(f"/api/destinations/{made['id']}")
    own.post("/api/destinations", place(server, team, "missed"))
    again = Listener(own, "/api/events?name=destination.*", listener.last)
    assert [again.next()["eventName"] for _ in range(2)] == ["destination.deleted", "destination.created"]
    again.close()
    told = own.get(f"/api/events?team={team}&severity=info&name=destination.deleted")
    assert len(told) == 1 and own.get(f"/api/events?team={team}&severity=error") == []
    assert own.get(f"/api/events?until={told[0]['timestamp']}&name=destination.deleted") == []
    assert own.raw("GET", "/api/events?name=destination.invented").status == 400


def test_a_token_has_few_streams_and_they_end_with_it(server, api, team_token):
    _, token = team_token
    own = Api(server.url, token["token"])
    listeners = [Listener(own, "/api/events") for _ in range(8)]
    assert [listener.answer.status for listener in listeners] == [200] * 8
    refused = Listener(own, "/api/events")
    assert refused.answer.status == 429 and refused.answer.headers["Retry-After"]
    refused.close()
    for listener in listeners[1:]:
        listener.close()

    def freed():
        another = Listener(own, "/api/events")
        another.close()
        return another.answer.status == 200
    wait_for("a place for another stream", freed, 20)
    api.delete(f"/tokens/{token['id']}")
    with pytest.raises(EOFError):
        listeners[0].next()


def test_a_refusal_is_an_event_with_its_trace(api, team):
    # One of its own: of another one, other tests may have been refused the same a short time ago.
    service = deploy(api, bodies.service(team, "refused", bodies.new_password()))
    refused = api.raw("PATCH", f"/managed-services/{service.id}", {"plan": {"id": 4711}})
    assert refused.status == 400
    api.raw("PATCH", f"/managed-services/{service.id}", {"plan": {"id": 4711}})
    told = api.get(f"/api/events?serviceId={service.id}&name=service.refused")
    assert len(told) == 1, "one a minute"
    assert told[0]["attributes"] | {"service.name": ""} == {
        "code": refused.body["code"], "operation": "managed-services-update", "trace.id": refused.body["traceId"], "service.name": ""}
    assert told[0]["severityNumber"] == 13


def test_a_change_is_told_with_its_particulars(shop, api):
    before = shop.resource()["backups"]["intervalH"] if "intervalH" in shop.resource().get("backups", {}) else 24
    changed = api.patch(f"/managed-services/{shop.id}", {"deletionProtection": True, "backups": {"intervalH": before + 1}})
    assert changed["backups"]["intervalH"] == before + 1
    told = {event["eventName"]: event["body"] for event in api.get(f"/api/events?serviceId={shop.id}&limit=1000")[::-1]}
    assert told["service.updating"] == f"a change of the service was accepted: backups are taken every {before + 1} hours"
    assert told["service.protected"]
    api.patch(f"/managed-services/{shop.id}", {"deletionProtection": False, "backups": {"intervalH": before}})
    api.wait_for_state(shop.id, "synchronized")
    assert api.get(f"/api/events?serviceId={shop.id}&name=service.unprotected")
