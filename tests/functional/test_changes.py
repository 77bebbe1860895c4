"""Changing a service: what is refused with its place, what is protected, and that a change is really in effect."""
import os
import secrets

import pytest
from conftest import deploy

from support import bodies
from support.backend import FakeBackend
from support.providers import definition, service


def pointers(answer) -> set:
    assert answer.status == 400 and answer.body["code"] == "invalid_argument", answer
    return {error["pointer"] for error in answer.body["errors"]}


CONSTRAINED = {
    "fixed": ("immutable", "first-choice", "b"), "grows": ("increase-only", "10", "9"), "minor": ("minor-upgrade-only", "15.4", "15.3"),
    "major": ("minor-upgrade-only", "15.4", "16.0")}
ALLOWED = {"fixed": "first-choice", "grows": "11", "minor": "15.10", "major": "15.5"}


def constrained_schema() -> dict:
    return {"type": "object", "properties": {
        **{name: {"type": "string", "x-update-constraint": rule} for name, (rule, _, _) in CONSTRAINED.items()},
        "free": {"type": "string"}}}


@pytest.fixture
def constrained(api, team):
    """A service of a provider whose config, secrets and plan have every constraint there is."""
    fake, name = FakeBackend(), "c" + secrets.token_hex(6)
    plan = {"id": 0, "name": "small", "description": "", "parameters": {
        key: {"pricedAs": "free", "schema": {"type": "integer", "default": 5, "x-update-constraint": rule}}
        for key, rule in (("replicas", "increase-only"), ("zone", "immutable"))}}
    api.post("/managed-services/providers", definition(name, fake.url, fake.KEY) | {
        "configSchema": constrained_schema(), "secretsSchema": constrained_schema(), "plans": [plan]})
    first = {name: before for name, (_, before, _) in CONSTRAINED.items()}
    made = api.post("/managed-services", service(
        team, "s-" + secrets.token_hex(6), name, first | {"free": "x"}, secrets=first,
        plan={"id": 0, "parameters": {"replicas": 5, "zone": 1}}))
    api.wait_for_state(made["id"], "synchronized", 60)
    yield api, made["id"], fake
    api.delete(f"/managed-services/{made['id']}")
    fake.close()


@pytest.mark.parametrize("section", ["config", "secrets"])
def test_every_constraint_is_kept_with_its_pointer(constrained, section):
    api, made, fake = constrained
    before = api.service(made)
    path = f"/managed-services/{made}"
    wrong = {name: after for name, (_, _, after) in CONSTRAINED.items()}
    everything = api.raw("PATCH", path, {section: wrong | {"free": "y"}})
    assert pointers(everything) == {f"/{section}/{name}" for name in CONSTRAINED}
    for name, after in wrong.items():
        answer = api.raw("PATCH", path, {section: {name: after}})
        assert pointers(answer) == {f"/{section}/{name}"}
        if section == "secrets":
            assert CONSTRAINED[name][1] not in answer.body["detail"] + str(answer.body["errors"]), "a refusal shows no secret"
    assert api.service(made)["config"] == before["config"], "nothing of a refused change is kept"
    api.patch(path, {section: ALLOWED | {"free": "y"}})
    api.wait_for_state(made, "synchronized", 60)
    assert fake.services[made][section] == ALLOWED | {"free": "y"}


def test_what_was_set_once_under_a_constraint_is_not_taken_back(constrained):
    api, made, _ = constrained
    answer = api.raw("PATCH", f"/managed-services/{made}", {"config": {"fixed": None, "free": None}})
    assert pointers(answer) == {"/config/fixed"}
    changed = api.patch(f"/managed-services/{made}", {"config": {"free": None}})
    assert "free" not in changed["config"] and changed["config"]["fixed"] == "first-choice"


def test_constraints_of_plan_parameters(constrained):
    api, made, fake = constrained
    path = f"/managed-services/{made}"
    answer = api.raw("PATCH", path, {"plan": {"id": 0, "parameters": {"replicas": 4, "zone": 2}}})
    assert pointers(answer) == {"/plan/parameters/replicas", "/plan/parameters/zone"}
    api.patch(path, {"plan": {"id": 0, "parameters": {"replicas": 6}}})
    api.wait_for_state(made, "synchronized", 60)
    assert fake.services[made]["plan"]["parameters"] == {"replicas": 6, "zone": 1}, "what is not named keeps its value"


def test_constraints_of_postgresql(shop):
    path = f"/managed-services/{shop.id}"
    for config in ({"userName": "other"}, {"databaseName": "other"}):
        answer = shop.api.raw("PATCH", path, {"config": config})
        assert pointers(answer) == {f"/config/{name}" for name in config}
    answer = shop.api.raw("PATCH", path, {"secrets": {"username": "other"}})
    assert pointers(answer) == {"/secrets/username"}


def test_a_protected_service_is_not_deleted(api, team):
    body = bodies.service(team, "protected", bodies.new_password()) | {"deletionProtection": True}
    protected = deploy(api, body)
    assert protected.resource()["deletionProtection"] is True
    for query in ("", "?finalBackup=skip", "?dryRun=true"):
        answer = api.raw("DELETE", f"/managed-services/{protected.id}{query}")
        assert answer.status == 400 and answer.body["code"] == "conflict", answer
        assert "deletionProtection" in answer.body["hint"]
    assert protected.resource()["status"]["state"] == "synchronized"
    assert protected.database().sql("SELECT 1") == "1"
    labelled = api.patch(f"/managed-services/{protected.id}", {"labels": {"app": "shop", "stage": "dev"}})
    assert labelled["labels"] == {"app": "shop", "stage": "dev"} and "operationId" not in labelled
    assert api.patch(f"/managed-services/{protected.id}", {"labels": {"app": None}})["labels"] == {"stage": "dev"}
    changed = api.patch(f"/managed-services/{protected.id}", {"deletionProtection": False})
    assert changed["deletionProtection"] is False and "operationId" not in changed
    api.delete(f"/managed-services/{protected.id}")


def test_a_new_password_is_the_databases_and_the_old_one_is_not(api, team):
    rotated = deploy(api, bodies.service(team, "rotated", bodies.new_password()))
    old = rotated.database()
    assert old.sql("SELECT 1") == "1"
    started = old.sql("SELECT pg_postmaster_start_time()")
    rotated.body["secrets"]["password"] = bodies.new_password()
    change = api.patch(f"/managed-services/{rotated.id}", {"secrets": rotated.body["secrets"]})
    assert api.wait_for_operation(change["operationId"])["state"] == "succeeded"
    assert rotated.database().sql("SELECT pg_postmaster_start_time()") == started, "no restart for a password"
    with pytest.raises(RuntimeError, match="authentication failed"):
        old.sql("SELECT 1")
    api.delete(f"/managed-services/{rotated.id}")


@pytest.mark.skipif(os.geteuid() != 0, reason="a superuser needs services with users of their own")
def test_a_new_superuser_password_is_the_databases_and_the_old_one_is_not(api, team):
    rotated = deploy(api, bodies.service(team, "rotated-superuser", bodies.new_password()) | {
        "secrets": {"password": bodies.new_password(), "superuserPassword": bodies.new_password()}})
    old = rotated.superuser()
    assert old.sql("SELECT 1") == "1"
    rotated.body["secrets"]["superuserPassword"] = bodies.new_password()
    change = api.patch(f"/managed-services/{rotated.id}", {
        "secrets": {"superuserPassword": rotated.body["secrets"]["superuserPassword"]}})
    assert api.wait_for_operation(change["operationId"])["state"] == "succeeded"
    assert rotated.superuser().sql("SELECT current_setting('is_superuser')") == "on"
    with pytest.raises(RuntimeError, match="authentication failed"):
        old.sql("SELECT 1")
    assert rotated.database().sql("SELECT 1") == "1", "the user's own password is as it was"
    api.delete(f"/managed-services/{rotated.id}")


def test_a_larger_plan_is_the_servers(api, team):
    grown = deploy(api, bodies.service(team, "grown", bodies.new_password(), plan={"id": 1, "parameters": {"storage": 10}}))

    def measures() -> tuple:
        return tuple(grown.database().sql(f"SHOW {name}") for name in ("shared_buffers", "max_connections"))
    before = measures()
    change = api.patch(f"/managed-services/{grown.id}", {"plan": {"id": 3, "parameters": {"storage": 20}}})
    assert api.wait_for_operation(change["operationId"])["state"] == "succeeded"
    after = measures()
    assert before[0] != after[0] and (before[1], after[1]) == ("100", "300"), (before, after)
    assert grown.resource()["plan"] == {"id": 3, "parameters": {"storage": 20}}
    answer = api.raw("PATCH", f"/managed-services/{grown.id}", {"plan": {"id": 0, "parameters": {"storage": 19}}})
    assert pointers(answer) == {"/plan/parameters/storage"}
    api.delete(f"/managed-services/{grown.id}")


def test_a_setting_that_reloads_and_one_that_restarts(shop):
    api, path = shop.api, f"/managed-services/{shop.id}"
    started = "SELECT pg_postmaster_start_time()"
    for setting, value, restarts in (("log_min_duration_statement", "7s", False), ("max_worker_processes", "9", True)):
        before = shop.database().sql(started)
        told = api.patch(f"{path}?dryRun=true", {"config": {setting: value}})
        assert told["restarts"] is restarts, told
        change = api.patch(path, {"config": {setting: value}})
        assert api.wait_for_operation(change["operationId"])["state"] == "succeeded"
        assert shop.database().sql(f"SHOW {setting}") == value
        assert (shop.database().sql(started) != before) is restarts
