"""One service, spoken to in four ways: what is made through one of them is listed, restored and deleted through each
other one, and all of them say the same of it."""
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Callable, Optional

import pytest

from support import bodies
from support.api import Api
from support.database import Database
from support.waiting import wait_for

TEAM, PROJECT, PLANET = "across", "shop", "orders"
SYSTEM = f"/api/v1/tenants/{TEAM}/starsystems/{PROJECT}"


def seconds(text: Optional[str]) -> Optional[datetime]:
    """Some dialects have whole seconds only."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).replace(microsecond=0) if text else None


UNSAID = "unsaid"
RETENTION = timedelta(days=7)


def to_the_hour(time: Optional[datetime]) -> Optional[datetime]:
    return time and time.replace(minute=0, second=0)


@dataclass
class Told:
    """What a dialect says of a backup. What it has no word for is UNSAID; what it calls the same as another state has
    the other one's word."""
    state: str
    begun: datetime
    completed: Optional[datetime]
    size: object
    ends: object
    error: Optional[str]
    name: object

    def agrees_with(self, house: "Told") -> bool:
        pairs = ((self.begun, house.begun), (self.completed, house.completed), (self.size, house.size), (self.ends, house.ends),
                 (self.error, house.error), (self.name, house.name))
        return self.state in (house.state, COARSER.get(house.state)) and all(mine in (UNSAID, theirs) for mine, theirs in pairs)


# Two dialects know no lost backups.
COARSER = {"lost": "failed"}


class House:
    def __init__(self, api: Api, service_id: str):
        self.api, self.service_id = api, service_id

    def take(self) -> str:
        return self.api.post(f"/managed-services/{self.service_id}/backups")["id"]

    def list(self) -> dict:
        return {b["id"]: self.told(b) for b in self.api.backups(self.service_id) if b["state"] != "deleting"}

    @staticmethod
    def told(b: dict) -> Told:
        by_rule = None if b["pinned"] or b.get("scheduleId") else seconds(b["scheduledAt"]) + RETENTION
        return Told(b["state"], seconds(b.get("initiatedAt", b["scheduledAt"])), seconds(b.get("confirmedAt")), b["dataBytes"],
                    seconds(b.get("expiresAt")) or by_rule, b.get("error"), b.get("label"))

    def restore(self, backup_id: str) -> str:
        return self.api.post("/api/recoveries", {"backupId": backup_id, "into": "new"})["service"]["id"]

    def delete(self, backup_id: str) -> None:
        if self.api.get(f"/api/backups/{backup_id}")["pinned"]:
            self.api.patch(f"/api/backups/{backup_id}", {"pinned": False})
        self.api.delete(f"/api/backups/{backup_id}")


class Lnchr(House):
    def take(self) -> str:
        return self.api.post(f"/api/v1/databases/{self.service_id}/backups")["data"]["id"]

    def list(self) -> dict:
        listed = self.api.get(f"/api/v1/databases/{self.service_id}/backups")["data"]
        words = {"pending": "scheduled"}
        return {b["id"]: Told(words.get(b["status"], b["status"]), seconds(b.get("started_at", b["created_at"])),
                              seconds(b.get("completed_at")), b.get("size_bytes", 0), seconds(b.get("expires_at")) or UNSAID,
                              b.get("error"), UNSAID) for b in listed if b["status"] != "deleting"}

    def restore(self, backup_id: str) -> str:
        return self.api.post(f"/api/v1/backups/database/{backup_id}/restore")["data"]["id"]

    def delete(self, backup_id: str) -> None:
        self.api.delete(f"/api/v1/databases/{self.service_id}/backups/{backup_id}")


class Cloudheed(House):
    @property
    def database(self) -> str:
        return f"/v1/databases/db-{self.service_id}"

    def take(self) -> str:
        return self.api.post(f"{self.database}/backups", {"name": "across"})["id"].removeprefix("backup-")

    def list(self) -> dict:
        listed = self.api.get(f"{self.database}/backups")["backups"]
        words = {"pending": "scheduled", "in_progress": "running"}
        return {b["id"].removeprefix("backup-"): Told(
            words.get(b["status"], b["status"]), seconds(b["started_at"] or b["created_at"]), seconds(b["completed_at"]),
            b["size_bytes"], seconds(b["expires_at"]), b.get("error"), b.get("name")) for b in listed}

    def restore(self, backup_id: str) -> str:
        return self.api.post(f"{self.database}/backups/backup-{backup_id}/restore")["id"].removeprefix("db-")

    def delete(self, backup_id: str) -> None:
        self.api.delete(f"{self.database}/backups/backup-{backup_id}")


class Guidewire(House):
    def number_of(self, backup_id: str) -> int:
        return self.api.get(f"/api/backups/{backup_id}")["number"]

    def take(self) -> str:
        made = self.api.post(f"{SYSTEM}/planets/{PLANET}/backups", {"mechanism": "logical", "temporary": True, "retentionPeriodInDays": 3})
        return next(b["id"] for b in self.api.backups(self.service_id) if b["number"] == made["id"])

    def list(self) -> dict:
        ids = {b["number"]: b["id"] for b in self.api.backups(self.service_id)}
        listed = self.api.get(f"{SYSTEM}/planets/{PLANET}/backups")["backups"]
        words = {"pending": "scheduled", "in_progress": "running", "succeeded": "completed"}
        return {ids[b["id"]]: Told(words.get(b["status"], b["status"]), seconds(b["startedAt"]), seconds(b["completedAt"]), UNSAID,
                                   seconds(b["expirationDate"]), b["errorMessage"], b["metadata"]["name"]) for b in listed}

    def restore(self, backup_id: str) -> str:
        """Into the planet itself."""
        begun = self.api.post(f"{SYSTEM}/planets/{PLANET}/restoreDb", {"backupId": self.number_of(backup_id)})
        recovery = self.api.wait_for_operation(begun["operationId"], 180)
        assert recovery["state"] == "succeeded", recovery
        switch = self.api.wait_for_operation(recovery["result"]["switchOperationId"], 180)
        assert switch["state"] == "succeeded", switch
        return self.service_id

    def delete(self, backup_id: str) -> None:
        self.api.delete(f"{SYSTEM}/backups/{self.number_of(backup_id)}")


SPEAKERS: dict[str, Callable] = {"house": House, "lnchr": Lnchr, "cloudheed": Cloudheed, "guidewire": Guidewire}


class Shared:
    """A service that all four see, and of each pair of dialects a backup that the first one made."""

    def __init__(self, server, rgw):
        admin = server.api()
        team = admin.post("/api/teams", {"name": TEAM, "slug": TEAM})["id"]
        token = admin.post("/api/tokens", {"name": TEAM, "scopes": ["write"], "teamIds": [team]})["token"]
        self.api, self.password = Api(server.url, token), bodies.new_password()
        labels = {"guidewire.project": PROJECT, "guidewire.stage": "dev", "guidewire.planet": PLANET}
        body = bodies.service(team, "orders", self.password, bodies.s3_store(rgw, rgw.make_bucket(TEAM)), labels=labels)
        self.id = self.api.post("/managed-services", body)["id"]
        self.api.wait_for_state(self.id, "synchronized", 180)
        # The one that the recovery window rests on; it stays.
        self.first = self.api.wait_for_backup(self.id)["id"]
        self.speakers = {name: kind(self.api, self.id) for name, kind in SPEAKERS.items()}
        self.rows = 0
        self.database().sql("CREATE TABLE made (number int PRIMARY KEY)")

    def database(self, service_id: Optional[str] = None) -> Database:
        return Database.of(self.api.details(service_id or self.id), self.password)

    def compared(self) -> dict:
        """What the house says of each backup; every dialect says the same."""
        told = {name: speaker.list() for name, speaker in self.speakers.items()}
        for name, listed in told.items():
            assert listed.keys() == told["house"].keys(), name
            for backup_id, said in listed.items():
                house = told["house"][backup_id]
                if name == "guidewire":  # which has hours
                    house = replace(house, ends=to_the_hour(house.ends))
                assert said.agrees_with(house), (name, said, house)
        return told["house"]

    def numbers(self, service_id: str) -> list:
        return [int(line) for line in self.database(service_id).sql("SELECT number FROM made ORDER BY 1").split()]

    def backup_of(self, speaker: House) -> tuple:
        """Its id, and how many rows it holds."""
        self.rows += 1
        self.database().sql(f"INSERT INTO made VALUES ({self.rows})")
        backup_id = speaker.take()
        self.api.wait_for_backup(self.id, backup_id)
        return backup_id, self.rows


@pytest.fixture(scope="module")
def shared(shared_server, rgw) -> Shared:
    return Shared(shared_server, rgw)


def test_what_one_makes_the_others_list_restore_and_delete(shared):
    pairs = [(by, through) for by in SPEAKERS for through in SPEAKERS if by != through]
    made = {pair: shared.backup_of(shared.speakers[pair[0]]) for pair in pairs}

    told = shared.compared()
    for backup_id, _ in made.values():
        house = told[backup_id]
        assert house.state == "completed" and house.begun and house.completed and house.size

    # What makes new services is done side by side, what goes into the service itself one after the other.
    restored = {pair: shared.speakers[pair[1]].restore(made[pair][0]) for pair in pairs if pair[1] != "guidewire"}
    for pair, service_id in restored.items():
        shared.api.wait_for_state(service_id, "synchronized", 240)
        assert shared.numbers(service_id) == list(range(1, made[pair][1] + 1)), pair
        shared.api.raw("DELETE", f"/managed-services/{service_id}?finalBackup=skip")
    for pair in (pair for pair in pairs if pair[1] == "guidewire"):
        assert shared.speakers["guidewire"].restore(made[pair][0]) == shared.id
        assert shared.numbers(shared.id) == list(range(1, made[pair][1] + 1)), pair

    # What serves now has to have a backup of its own before those of what served before may go.
    shared.speakers["house"].api.wait_for_backup(shared.id, shared.speakers["house"].take())
    for pair in pairs:
        shared.speakers[pair[1]].delete(made[pair][0])
    for name, speaker in shared.speakers.items():
        left = speaker.list()
        assert not {backup_id for backup_id, _ in made.values()} & left.keys(), name
        assert shared.first in left, name


def test_every_state_is_the_same_in_all(shared, shared_server, rgw):
    """One that waits, one that is held up, one that failed, one that is lost with its store, and when each goes."""
    api, speakers = shared.api, shared.speakers
    rgw.stop_gateway()
    try:
        held = speakers["lnchr"].take()
        wait_for("one is being taken", lambda: api.get(f"/api/backups/{held}")["state"] == "running", 60)
        waits, ends = speakers["guidewire"].take(), speakers["cloudheed"].take()
        newest = max(api.get(f"/api/operations?serviceId={shared.id}"), key=lambda it: it["createdAt"])
        assert newest["kind"] == "backup"
        api.post(f"/api/operations/{newest['id']}/cancel")
        told = shared.compared()
        assert [told[it].state for it in (held, waits, ends)] == ["running", "scheduled", "failed"], told
        assert told[ends].error and not told[held].completed and not told[waits].completed
        assert told[waits].ends - told[waits].begun == timedelta(days=3) and told[ends].ends is None
    finally:
        rgw.start_gateway()
    elsewhere = shared_server.api().post("/api/destinations", {
        "teamId": api.get("/teams")[0]["id"], "name": "elsewhere", **bodies.directory_store(shared_server.state_dir, "elsewhere")})
    lost = api.post(f"/api/v1/databases/{shared.id}/backups", {"destination_id": elsewhere["id"]})["data"]["id"]
    schedule = api.post("/api/schedules", {"serviceId": shared.id, "cron": "0 0 1 1 *", "retentionCount": 2})
    run = api.post(f"/api/schedules/{schedule['id']}/run")["id"]
    for backup_id in (held, waits, lost, run):
        api.wait_for_backup(shared.id, backup_id)
    api.patch(f"/api/backups/{held}", {"expiresAt": "2099-01-01T10:20:30Z"})
    shared_server.api().post(f"/api/destinations/{elsewhere['id']}/lost", {"name": "elsewhere"})
    told = shared.compared()
    assert [told[it].state for it in (held, waits, ends, lost, run)] == ["completed", "completed", "failed", "lost", "completed"], told
    assert told[held].ends.year == 2099 and told[run].ends is None and told[lost].error
    for speaker, backup_id in zip(("guidewire", "lnchr", "cloudheed"), (lost, run, ends)):
        speakers[speaker].delete(backup_id)
    assert not {lost, run, ends} & shared.compared().keys()
    api.delete(f"/api/schedules/{schedule['id']}")


def test_none_knows_what_is_not_there(shared):
    nobody = "00000000-0000-4000-8000-000000000000"
    refused = {
        "house": shared.api.raw("GET", f"/api/backups/{nobody}"),
        "lnchr": shared.api.raw("GET", f"/api/v1/databases/{shared.id}/backups/{nobody}"),
        "cloudheed": shared.api.raw("GET", f"/v1/databases/db-{shared.id}/backups/backup-{nobody}"),
        "guidewire": shared.api.raw("GET", f"{SYSTEM}/backups/999999999"),
    }
    assert {name: answer.status for name, answer in refused.items()} == dict.fromkeys(refused, 404)
    assert refused["house"].body["code"] == "not_found"
    assert refused["lnchr"].body["error"]["code"] == "NOT_FOUND"
    assert refused["cloudheed"].body["error"]["code"] == "resource_not_found"
    assert refused["guidewire"].body["error"] == "Not Found"


def test_refusals_in_all_are_events_of_the_service(shared):
    nobody, planet = "00000000-0000-4000-8000-000000000000", f"{SYSTEM}/planets/{PLANET}"
    asked = {
        "managed-services-switch": ("recovery.refused", f"/api/managed-services/{shared.id}/switch", {"candidateId": nobody}),
        "lnchr-databases-switch": ("recovery.refused", f"/api/v1/databases/{shared.id}/switch", {"restored_database_id": nobody}),
        "lnchr-schedules-create": ("backup.refused", "/api/v1/backup-schedules", {"database_id": shared.id, "cron_expression": "never"}),
        "cloudheed-pitr-begin": ("recovery.refused", f"/v1/databases/db-{shared.id}/pitr", {"target_time": "1999-01-01T00:00:00Z"}),
        "guidewire-createBackup": ("backup.refused", f"{planet}/backups", {"mechanism": "magnetic"}),
        "guidewire-restoreDb": ("recovery.refused", f"{planet}/restoreDb", {"backupId": 999999999}),
    }
    for _, path, body in asked.values():
        assert 400 <= shared.api.raw("POST", path, body).status < 500, path
    names = ",".join(sorted({kind for kind, _, _ in asked.values()}))
    told = {event["attributes"]["operation"]: event for event in shared.api.get(f"/api/events?name={names}&service={shared.id}")}
    assert {call: event["eventName"] for call, event in told.items()} == {call: kind for call, (kind, _, _) in asked.items()}
    assert {event["serviceId"] for event in told.values()} == {shared.id}


def test_hints_name_no_calls_of_another_dialect(shared):
    """What the house tells its clients to send, others do not know."""
    shared.api.patch(f"/managed-services/{shared.id}", {"pause": True})
    shared.api.wait_for_state(shared.id, "paused")
    try:
        house = shared.api.raw("POST", f"/managed-services/{shared.id}/backups").body
        assert "PATCH" in house["hint"]
        for path in (f"/api/v1/databases/{shared.id}/backups", f"/v1/databases/db-{shared.id}/backups"):
            error = shared.api.raw("POST", path).body["error"]
            assert error["message"] == house["detail"] and "PATCH" not in error["hint"] and error["hint"].startswith("resume it"), error
    finally:
        shared.api.patch(f"/managed-services/{shared.id}", {"pause": False})
        shared.api.wait_for_state(shared.id, "synchronized")
