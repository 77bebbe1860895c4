"""What the whole API keeps to: its own description, pages, entity tags, repetitions, limits."""
import http.client
import secrets
import threading

import pytest

from support import bodies, contract
from support.api import Api
from support.waiting import wait_for


def test_the_description_is_served_to_programs_and_people(server):
    anybody = Api(server.url, None)
    document = anybody.get("/api/openapi.json")
    assert document["openapi"].startswith("3.1.") and document["info"]["title"] == "Backstay"
    assert anybody.get("/api/docs") == document
    assert document["paths"]["/managed-services"]["post"]["operationId"] == "managed-services-create"
    page = anybody.exchange("GET", "/api/docs", headers={"Accept": "text/html"})
    assert page.headers["Content-Type"].startswith("text/html") and "managed-services-create" in page.body


def test_the_watch_finds_what_is_not_described(server, api):
    """The checks of this whole suite can fail."""
    described = contract.Contract(api.exchange("GET", "/api/openapi.json").body)
    team = api.get("/teams")[0]
    described.check("GET", "/teams", None, 200, "application/json", [team])
    for answer in ([team | {"surprise": 1}], [{**team, "id": "1"}], {}, [{"name": "no id"}]):
        with pytest.raises(contract.ContractError):
            described.check("GET", "/teams", None, 200, "application/json", answer)
    with pytest.raises(contract.ContractError):
        described.check("GET", "/teams", None, 409, "application/json", {})
    with pytest.raises(contract.ContractError):
        described.check("GET", "/nobody-wrote-this-down", None, 200, "application/json", {})
    with pytest.raises(contract.ContractError):
        described.check("POST", "/teams", {"name": 7}, 200, "application/json", team)


def pages(api, path: str, limit: int) -> list:
    """The list as its pages have it, by the Link header."""
    items, target = [], f"{path}{'&' if '?' in path else '?'}limit={limit}"
    while target:
        answer = api.raw("GET", target)
        assert answer.status == 200 and len(answer.body) <= limit, answer
        items += answer.body
        link = answer.headers.get("Link", "")
        assert bool(link) == bool(answer.headers.get("X-Next-Page-Token"))
        target = link[1:link.index(">")] if link else ""
    return items


@pytest.mark.parametrize("path", ["/teams", "/managed-services?includeDeleted=true", "/managed-services/providers", "/tokens",
                                  "/api/destinations", "/api/operations?serviceId={shop}", "/api/backups?serviceId={shop}",
                                  "/api/events?serviceId={shop}&after=0"])
def test_a_list_is_the_same_in_pages(shop, path):
    """Everything once. What is made meanwhile may come on top."""
    def names(items: list) -> list:
        return [item.get("id") or (item["name"], item["version"]) for item in items]
    path = path.format(shop=shop.id)
    whole = names(shop.api.get(path + ("&" if "?" in path else "?") + "limit=1000"))
    gathered = names(pages(shop.api, path, 2))
    assert whole and [name for name in gathered if name in whole] == whole and len(set(gathered)) == len(gathered)


def test_tokens_of_other_pages_are_refused(shop):
    api = shop.api
    for _ in range(2):
        api.post("/teams", {"name": "page " + secrets.token_hex(4)})
    token = api.raw("GET", "/teams?limit=1").headers["X-Next-Page-Token"]
    middle = "B" if token[20] == "A" else "A"
    for path in (f"/tokens?page_token={token}", f"/teams?page_token={token[:20]}{middle}{token[21:]}", "/teams?page_token=x",
                 f"/api/operations?page_token={token}"):
        answer = api.raw("GET", path)
        assert answer.status == 400 and answer.body["errors"][0]["pointer"] == "?page_token", answer
    for path, pointer in (("/api/operations?limit=0", "?limit"), ("/api/operations?limit=many", "?limit"),
                          ("/api/operations?limt=3", "?limt"), ("/api/events?serviceId=x", "?serviceId")):
        answer = api.raw("GET", path)
        assert answer.status == 400 and answer.body["errors"][0]["pointer"] == pointer, answer


def test_an_entity_tag_spares_and_guards(shop):
    api, path = shop.api, f"/managed-services/{shop.id}"
    details = api.raw("GET", f"{path}/details")
    again = api.raw("GET", f"{path}/details", headers={"If-None-Match": details.headers["ETag"]})
    assert again.status == 304 and not again.body and again.headers["ETag"] == details.headers["ETag"]
    seen = api.raw("GET", path).headers["ETag"]
    name = shop.resource()["name"]
    first = api.raw("PATCH", path, {"name": name}, {"If-Match": seen})
    assert first.status == 200 and first.headers["ETag"].split("-")[0] != seen.split("-")[0]
    late = api.raw("PATCH", path, {"name": "overwritten"}, {"If-Match": seen})
    assert (late.status, late.body["code"]) == (400, "precondition_failed")
    late = api.raw("DELETE", path, None, {"If-Match": seen})
    assert (late.status, late.body["code"]) == (400, "precondition_failed")
    assert shop.resource()["name"] == name


def destination(team: int, server, name: str) -> dict:
    return {"teamId": team, "name": name, "config": bodies.directory_store(server.state_dir, name)["config"], "secrets": {}}


def test_own_calls_answer_412(server, api, team):
    made = api.post("/api/destinations", destination(team, server, "guarded"))
    path = f"/api/destinations/{made['id']}"
    assert api.raw("DELETE", path, None, {"If-Match": '"what it was"'}).status == 412
    assert api.raw("DELETE", path, None, {"If-Match": api.raw("GET", path).headers["ETag"]}).status == 200


def test_a_repetition_takes_effect_once(server, api, team):
    key = {"Idempotency-Key": secrets.token_hex(8)}
    body = destination(team, server, "once")
    first = api.raw("POST", "/api/destinations", body, key)
    again = api.raw("POST", "/api/destinations", body, key)
    assert first.status == again.status == 200 and first.body == again.body
    assert again.headers["Idempotency-Replayed"] == "true" and "Idempotency-Replayed" not in first.headers
    assert [d["name"] for d in api.get("/api/destinations")].count("once") == 1
    other = api.raw("POST", "/api/destinations", destination(team, server, "twice"), key)
    assert (other.status, other.body["code"]) == (422, "idempotency_key_reused")
    other = api.raw("POST", "/teams", {"name": "x"}, key)
    assert (other.status, other.body["code"]) == (400, "idempotency_key_reused")


def test_a_token_that_was_made_once_is_nowhere_in_clear(server, api):
    key = {"Idempotency-Key": secrets.token_hex(8)}
    body = {"name": "sealed", "scopes": ["read"], "teamIds": []}
    made = api.raw("POST", "/tokens", body, key).body["token"]
    assert api.raw("POST", "/tokens", body, key).body["token"] == made
    assert not server.state.holds(made.encode())


def test_many_at_once_with_one_key_make_one(api):
    name, key = "team " + secrets.token_hex(4), {"Idempotency-Key": secrets.token_hex(8)}
    answers = []

    def send():
        answers.append(api.raw("POST", "/teams", {"name": name}, key))
    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made = [answer for answer in answers if answer.status == 200]
    assert made and all(answer.body["id"] == made[0].body["id"] for answer in made)
    assert all(answer.body["code"] == "conflict" for answer in answers if answer.status != 200)
    assert [team["name"] for team in api.get("/teams")].count(name) == 1


def test_a_repetition_after_a_kill_makes_one(own_server):
    """Killed at any moment of a creation, the same request makes the service, and makes it once."""
    team = own_server.api().get("/teams")[0]["id"]
    for attempt in range(5):
        name = f"killed-{attempt}"
        body = bodies.service(team, name, bodies.new_password())
        key = {"Idempotency-Key": secrets.token_hex(8)}

        def create():
            try:
                own_server.api().raw("POST", "/managed-services", body, key)
            except (OSError, http.client.HTTPException):
                pass  # it was killed; that is the point
        sender = threading.Thread(target=create)
        sender.start()
        sender.join(0.004 * attempt)
        own_server.kill()
        sender.join()
        own_server.start()
        made = own_server.api().raw("POST", "/managed-services", body, key)
        assert made.status == 200 and made.body["name"] == name, made
        assert [s["name"] for s in own_server.api().get("/managed-services")].count(name) == 1
        own_server.api().delete(f"/managed-services/{made.body['id']}")


def test_too_many_requests_are_told_when_to_come_again(new_server):
    server = new_server("limits", environment={"BACKSTAY_SERVER_REQUESTS_PER_SECOND": "2", "BACKSTAY_SERVER_REQUEST_BURST": "20",
                                               "BACKSTAY_SERVER_REFUSALS_PER_SECOND": "1",
                                               "BACKSTAY_SERVER_REFUSAL_BURST": "3"}).start()
    api = server.api()
    answer = api.raw("GET", "/teams")
    assert answer.headers["X-RateLimit-Limit"] == "20" and int(answer.headers["X-RateLimit-Remaining"]) < 20
    answers = [api.raw("GET", "/teams") for _ in range(40)]
    limited = [a for a in answers if a.status == 429]
    assert limited and int(limited[0].headers["Retry-After"]) >= 1 and limited[0].body["code"] == "rate_limited"
    stranger = Api(server.url, "wrong")
    assert {stranger.raw("GET", "/teams").status for _ in range(10)} == {401, 429}
    assert Api(server.url, None).raw("GET", "/health").status == 200
    wait_for("the token may ask again", lambda: api.raw("GET", "/teams").status == 200, 10)
