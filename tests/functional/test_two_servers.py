"""Two servers on one state in PostgreSQL: they share the work, and each takes over when the other is killed."""
import os
import shutil
import signal
from datetime import datetime, timedelta, timezone

import pytest
from conftest import Deployed, deploy

from support import bodies
from support.load import Writer, postmaster_pids
from support.receiver import Receiver
from support.server import Block, Server, make_state_directory
from support.state_database import StateDatabase
from support.waiting import wait_for

TAKE_OVER_SECONDS = 30  # a lease of ten seconds, and a machine that is busy


class Pair:
    def __init__(self, program, home):
        self.home = home
        self.database = StateDatabase(home / "state-database").start()
        self.services = home / "services"
        self.block = Block()  # of one machine, as the two are
        self.first = self._server(program, "first")
        self.second = self._server(program, "second")

    def _server(self, program, name: str) -> Server:
        (self.home / name).mkdir(mode=0o711)
        return Server(program, self.home / name, block=self.block, environment={
            "BACKSTAY_SERVER_STATE": self.database.url, "BACKSTAY_SERVER_SERVICES_DIR": self.services,
            "BACKSTAY_SERVER_MASTER_KEY_FILE": self.home / "master.key"})

    def driver_of(self, service_id: str):
        server_id = self.database.sql(f"SELECT servers.id FROM services JOIN servers ON epoch = driver WHERE services.id = '{service_id}'")
        for server in (self.first, self.second):
            if (server.state_dir / "server-id").read_text().strip() == server_id:
                return server
        return None

    def other(self, server: Server) -> Server:
        return self.second if server is self.first else self.first

    def destroy(self) -> None:
        for server in (self.first, self.second):
            if server.process is not None:
                server.kill()
        Server(self.first.program, self.home, block=self.block).stop_services()
        self.database.stop()
        shutil.rmtree(self.home, ignore_errors=True)
        self.block.release()


@pytest.fixture
def pair(program):
    made = Pair(program, make_state_directory("pair"))
    try:
        made.first.start()
        made.second.start()
        yield made
    finally:
        made.destroy()


def body(pair, api, name: str) -> dict:
    store = bodies.directory_store(pair.services, "pair")
    return bodies.service(api.get("/teams")[0]["id"], name, bodies.new_password(), store)


def latest(api, service_id: str) -> datetime:
    text = api.get(f"/api/managed-services/{service_id}/recovery-window").get("latest")
    return datetime.fromisoformat(text.replace("Z", "+00:00")) if text else datetime.fromtimestamp(0, timezone.utc)


def test_both_answer_and_share_the_services(pair):
    one, two = pair.first.api(), pair.second.api()
    services = [deploy(api, body(pair, api, f"db-{i}")) for i, api in enumerate((one, one, two, two))]
    assert {pair.driver_of(service.id) for service in services} == {pair.first, pair.second}
    for service in services:
        assert one.service(service.id)["id"] == two.service(service.id)["id"]
        service.database().sql("SELECT 1")
    # Asked for here, done there.
    mine = next(service for service in services if pair.driver_of(service.id) is pair.first)
    Deployed(two, mine.body, mine.created).backup()
    two.delete(f"/managed-services/{mine.id}")
    wait_for("it is gone", lambda: mine.id not in [item["id"] for item in one.get("/managed-services")], 120)


def test_a_server_is_killed_in_the_middle_of_everything(pair):
    api = pair.first.api()
    loaded = deploy(api, body(pair, api, "loaded"))
    victim = pair.driver_of(loaded.id)
    survivor = pair.other(victim)
    loaded.database().sql("CREATE TABLE ballast AS SELECT i, repeat(md5(i::text), 30) AS t FROM generate_series(1, 100000) i")
    api.wait_for_backup(loaded.id)
    with Writer(loaded.database()) as writer:
        # One creation that the victim works on: the survivor has its share already.
        filler = deploy(api, body(pair, api, "filler"))
        assert pair.driver_of(filler.id) is survivor
        victim_api = victim.api()
        making = deploy(victim_api, body(pair, api, "making"), wait=False)
        entry = victim_api.post(f"/managed-services/{loaded.id}/backups")
        wait_for("the backup and the creation run", lambda: int(pair.database.sql(
            "SELECT count(*) FROM operations WHERE state = 'running'")) >= 2, 60, interval=0.01)
        victim.kill()
        killed_at = datetime.now(timezone.utc)
        api = survivor.api()
        loaded.api = making.api = api
        moved = killed_at + timedelta(seconds=1)
        wait_for("the recovery window moves again", lambda: latest(api, loaded.id) > moved, TAKE_OVER_SECONDS + 30, interval=0.5)
        took = datetime.now(timezone.utc) - killed_at
        assert took < timedelta(seconds=TAKE_OVER_SECONDS + 30)
        api.wait_for_state(making.id, "synchronized", 120)
        making.database().sql("CREATE TABLE works (i int)")
        api.wait_for_backup(loaded.id, entry["id"])
        writer.wait_for_more(10)
        at = loaded.now()
        writer.wait_for_more(10)
    writer.check(loaded.database())
    assert pair.driver_of(loaded.id) is survivor
    assert len(postmaster_pids(pair.services)) == 3, "one server process for each service"
    # What the two servers stored one after the other is one archive.
    wish = body(pair, api, "again")
    wish["recoverFrom"] = {"msId": loaded.id, "time": at, "config": {}, "secrets": {}}
    again = deploy(api, wish)
    assert again.database().fingerprint("ballast") == loaded.database().fingerprint("ballast")
    # The victim comes back and gets its share again.
    victim.start()
    wait_for("the work is shared again", lambda: len({pair.driver_of(i) for i in (loaded.id, filler.id, making.id, again.id)}) == 2, 60)
    before = datetime.now(timezone.utc)
    wait_for("the window moves on", lambda: latest(api, loaded.id) > before or latest(victim.api(), loaded.id) > before, 60, interval=0.5)


def test_a_schedule_runs_once_whichever_server_lives(pair):
    """Due while both live, while one is killed, and once one is left alone."""
    api = pair.first.api()
    services = [deploy(api, body(pair, api, f"kept-{i}")) for i in range(2)]
    assert {pair.driver_of(service.id) for service in services} == {pair.first, pair.second}
    for service in services:
        api.wait_for_backup(service.id)
        api.post("/api/schedules", {"serviceId": service.id, "cron": "0 0 1 1 *", "mechanism": "logical"})

    def runs() -> list:
        return pair.database.sql("SELECT count(*) FROM backups WHERE schedule_id <> '' AND state = 'completed' GROUP BY schedule_id").split()

    def make_due() -> None:
        pair.database.sql("UPDATE schedules SET next_at = 1000000")
    make_due()
    wait_for("each has run", lambda: runs() == ["1", "1"], 60, interval=0.2)
    make_due()
    pair.second.kill()
    wait_for("each has run again", lambda: runs() == ["2", "2"], TAKE_OVER_SECONDS + 60, interval=0.2)
    # Whatever had run a second time would be counted by now.
    make_due()
    wait_for("each has run a third time", lambda: runs() == ["3", "3"], 60, interval=0.2)
    assert pair.database.sql("SELECT count(*) FROM backups WHERE schedule_id <> ''") == "6", "none ran twice"


def test_a_server_that_stops_hands_over_at_once(pair):
    api = pair.first.api()
    service = deploy(api, body(pair, api, "handed-over"))
    driver = pair.driver_of(service.id)
    driver.stop()
    wait_for("the other one drives it", lambda: pair.driver_of(service.id) is pair.other(driver), 5)


@pytest.mark.nightly
def test_a_frozen_server_finds_its_work_taken(pair):
    api = pair.first.api()
    service = deploy(api, body(pair, api, "frozen"))
    driver = pair.driver_of(service.id)
    os.kill(driver.process.pid, signal.SIGSTOP)
    try:
        wait_for("the other one drives it", lambda: pair.driver_of(service.id) is pair.other(driver), TAKE_OVER_SECONDS)
    finally:
        os.kill(driver.process.pid, signal.SIGCONT)
    wait_for("it says that it lost its leases", lambda: "server.lease_lost" in driver.log_text(), 30)
    other = pair.other(driver).api()
    before = datetime.now(timezone.utc)
    wait_for("the window moves on", lambda: latest(other, service.id) > before, 90, interval=0.5)
    assert pair.driver_of(service.id) is pair.other(driver)


def test_the_services_of_a_state_are_not_looked_for_elsewhere(pair):
    pair.second.stop()
    pair.second.environment["BACKSTAY_SERVER_SERVICES_DIR"] = pair.home / "elsewhere"
    with pytest.raises(RuntimeError, match="services of this state are not in"):
        pair.second.start()


@pytest.mark.nightly
def test_the_state_goes_away_and_comes_back(pair):
    api = pair.first.api()
    service = deploy(api, body(pair, api, "patient"))
    database = service.database()
    pair.database.stop()
    database.sql("CREATE TABLE works (i int)")
    assert api.raw("GET", f"/managed-services/{service.id}").status == 500
    pair.database.start()
    wait_for("it answers again", lambda: api.raw("GET", f"/managed-services/{service.id}").status == 200, 60)
    service.backup()


def test_one_of_both_tells_webhooks_and_the_other_takes_over(pair):
    receiver = Receiver()
    try:
        one, two = pair.first.api(), pair.second.api()
        team = one.get("/teams")[0]["id"]
        made = two.post("/api/webhooks", {"teamId": team, "name": "ci", "url": receiver.url, "events": ["destination.*"]})
        receiver.secret = made["secret"]
        names = [f"told-{number}" for number in range(6)]
        for number, name in enumerate(names):
            store = bodies.directory_store(pair.services, name)["config"]
            (one, two)[number % 2].post("/api/destinations", {"teamId": team, "name": name, "config": store})
        # One that was sent and not noted when its server is killed is sent again, as promised.
        wait_for("all messages, noted", lambda: [
            delivery["state"] for delivery in two.get(f"/api/webhooks/{made['id']}/deliveries")] == ["delivered"] * len(names), 20)
        pair.first.kill()
        store = bodies.directory_store(pair.services, "after")["config"]
        two.post("/api/destinations", {"teamId": team, "name": "after", "config": store})
        wait_for("the message after the kill", lambda: len(receiver.types()) > len(names), TAKE_OVER_SECONDS)
        told = [body["data"]["sequence"] for _, body in receiver.messages]
        assert len(told) == len(set(told)) == len(names) + 1 and receiver.forged == 0
    finally:
        receiver.close()
