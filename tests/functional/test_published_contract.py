"""The published contract: that Backstay describes nothing narrower, and that each answer of each test is held against it."""
import copy
import json

import pytest

from support.api import Api
from support.checks import ContractError
from support.published import Published

RESOURCE = {
    "id": "0a4f5a32-6a4e-4e43-9a5e-1a1b8a2f4c01", "name": "my-db", "pause": False, "createdAt": "2026-01-02T03:04:05Z",
    "provider": {"name": "postgres", "version": "v1", "schemaVersion": "v1"}, "config": {},
    "plan": {"id": 0, "parameters": {"storage": 2048}}, "status": {"state": "creating"},
    "backups": {"enabled": True, "intervalH": 24, "deleteRetentionDays": 7, "config": {},
                "entries": [{"id": "0a4f5a32-6a4e-4e43-9a5e-1a1b8a2f4c02", "scheduledAt": "2026-01-02T03:04:05Z"}]},
    "recentEvents": [{"eventName": "service.created", "timestamp": "2026-01-02T03:04:05Z", "severityNumber": 9, "body": "",
                      "observedTimestamp": "2026-01-02T03:04:05Z", "resource": "", "attributes": {}}]}


def check_list(resource: dict) -> None:
    Published().check("GET", "/managed-services?team=1&includeDeleted=false", 200, "application/json", [resource])


def renamed(place: list, name: str) -> dict:
    resource = copy.deepcopy(RESOURCE)
    parent = resource
    for key in place:
        parent = parent[key]
    parent[name + "X"] = parent.pop(name)
    return resource


def test_the_contract_takes_its_own_shapes():
    check_list(RESOURCE)
    check_list({**RESOURCE, "nextStep": "additions are free", "backups": {"enabled": False, "entries": []}})
    check_list({**RESOURCE, "status": {"state": "deleted", "deletedAt": "2026-01-02T03:04:05Z"}})


@pytest.mark.parametrize("place, name", [
    *(([], name) for name in ("id", "provider", "name", "backups", "pause", "plan", "createdAt", "config", "status")),
    *((["provider"], name) for name in ("name", "version", "schemaVersion")),
    *((["backups"], name) for name in ("enabled", "deleteRetentionDays", "intervalH", "entries", "config")),
    (["plan"], "id"), (["plan"], "parameters"), (["status"], "state"),
    (["backups", "entries", 0], "id"), (["backups", "entries", 0], "scheduledAt"),
    *((["recentEvents", 0], name) for name in ("eventName", "timestamp", "observedTimestamp", "severityNumber", "body",
                                               "resource", "attributes"))])
def test_a_renamed_field_is_found(place, name):
    with pytest.raises(ContractError, match="does not match the published contract"):
        check_list(renamed(place, name))


@pytest.mark.parametrize("change", [
    {"status": {"state": "failed"}}, {"status": {"state": "synchronized"}}, {"status": {"state": "deleting"}},
    {"plan": {"id": 0, "parameters": {"storage": 0.5}}}, {"secrets": {}}, {"teamId": 1}, {"pause": "false"},
    {"createdAt": "yesterday"}, {"backups": {**RESOURCE["backups"], "intervalH": 731}}])
def test_another_type_or_value_is_found(change):
    with pytest.raises(ContractError):
        check_list({**RESOURCE, **change})


def test_another_success_is_found():
    with pytest.raises(ContractError, match="200 only"):
        Published().check("DELETE", "/managed-services/x", 204, "", None)


def test_what_is_loosened_is_two_patterns():
    published = Published().document
    assert [entry["at"][-2:] for entry in published["loosened"]] == [["version", "pattern"], ["schemaVersion", "pattern"]]
    provider = published["definitions"]["ManagedService"]["properties"]["provider"]["properties"]
    assert "pattern" not in provider["version"] and "pattern" in provider["name"]


def test_every_answer_of_the_tests_is_held_against_it(api, monkeypatch):
    """Through Api.raw, as tests call it: a server that had renamed a field would be found."""
    exchange = Api.exchange

    def without_plans(*arguments, **options):
        answer = exchange(*arguments, **options)
        if isinstance(answer.body, dict) and "openapi" in answer.body:  # its description has renamed it as well
            answer.body = json.loads(json.dumps(answer.body).replace('"plans"', '"tariffs"'))
        elif isinstance(answer.body, list):
            answer.body = [{("tariffs" if key == "plans" else key): value for key, value in item.items()} for item in answer.body]
        return answer
    from support import contract
    monkeypatch.setattr(contract, "_contracts", {})
    api.get("/managed-services/providers")
    contract._contracts.clear()
    monkeypatch.setattr(Api, "exchange", without_plans)
    with pytest.raises(ContractError, match="the published contract"):
        api.get("/managed-services/providers")


def resolved(document: dict, schema: dict) -> dict:
    """Without its reference and the null that is taken for absence."""
    if "$ref" in schema:
        place = document
        for key in schema["$ref"][2:].split("/"):
            place = place[key]
        return resolved(document, place)
    if "anyOf" in schema:
        return resolved(document, next(choice for choice in schema["anyOf"] if choice != {"type": "null"}))
    return schema


def check_taken(published: dict, theirs: dict, document: dict, ours: dict, place: str) -> None:
    """Whatever a body of the published schema may hold is described, and nothing more is asked for."""
    theirs, ours = resolved(published, theirs), resolved(document, ours)
    kinds = ours["type"] if isinstance(ours["type"], list) else [ours["type"]]
    assert theirs["type"] in kinds, place
    assert set(ours.get("required", [])) <= set(theirs.get("required", [])), place
    for name, schema in theirs.get("properties", {}).items():
        if "properties" in ours:
            assert name in ours["properties"], f"{place}/{name}"
            check_taken(published, schema, document, ours["properties"][name], f"{place}/{name}")


def test_backstay_describes_the_published_operations_and_takes_their_bodies(api):
    published, document = Published().document, api.get("/api/openapi.json")
    assert len(published["operations"]) == 11
    for name, theirs in published["operations"].items():
        method, path = name.split(" ")
        ours = document["paths"][path][method.lower()]
        assert ours["operationId"] == theirs["operationId"]
        assert [status for status in ours["responses"] if status.startswith("2")] == ["200"], name
        described = {parameter["name"]: parameter for parameter in ours.get("parameters", []) if parameter["in"] == "query"}
        for parameter, schema in theirs.get("query", {}).items():
            assert described[parameter]["schema"]["type"] == schema["type"], (name, parameter)
        if "body" in theirs:
            check_taken(published, theirs["body"], document,
                        ours["requestBody"]["content"]["application/json"]["schema"], name)
