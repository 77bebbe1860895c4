"""Fills a state with thousands of services and backups, by copying one service of a stopped server within SQL, and
measures how a server bears them."""
import contextlib
import http.client
import json
import re
import shutil
import time
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

from . import bodies
from .server import Server, make_state_directory
from .state_database import StateDatabase
from .waiting import let_time_pass, wait_for

SERVICES, BACKUPS_EACH, EVENTS_EACH = 10_000, 10, 30

# Counts without a table of numbers, in the SQL that SQLite and PostgreSQL share.
NUMBERS = "WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last}) "


def identity(kind: int, number: str) -> str:
    """SQL for a UUID of its own for each number."""
    return f"'0000000{kind}-0000-4000-8000-' || CAST(100000000000 + {number} AS TEXT)"


def copies(state, table: str, source: str, changed: dict, last: int) -> str:
    columns = state.columns(table)
    values = [changed.get(column, f"t.{column}") for column in columns]
    return (f"INSERT INTO {table} ({', '.join(columns)}) {NUMBERS.format(first=1, last=last)}"
            f"SELECT {', '.join(values)} FROM {table} AS t, n WHERE t.id = '{source}'")


def fill(state, service_id: str, instance_id: str, backup_id: str, services: int, backups_each: int, events_each: int) -> None:
    """Paused services like the one given, with backups like its own and events."""
    service = identity(1, "n.i")
    owner = identity(1, f"(1 + n.i % {services})")
    event = "'{' || '}'"
    state.run([
        copies(state, "services", service_id, {
            "id": service, "name": "'copy-' || CAST(n.i AS TEXT)", "sealed_secrets": "''", "sealed_backup_secrets": "''",
            "instance_id": identity(2, "n.i"), "created_at": "t.created_at + n.i", "change": "t.change"}, services),
        copies(state, "instances", instance_id, {"id": identity(2, "n.i"), "service_id": service}, services),
        copies(state, "backups", backup_id, {
            "id": identity(3, "n.i"), "service_id": owner, "scheduled_at": "t.scheduled_at - n.i"}, services * backups_each),
        "INSERT INTO events (sequence, id, team_id, service_id, name, time, observed_at, severity, body, attributes) "
        f"{NUMBERS.format(first=1, last=services * events_each)} SELECT s.value + n.i, {identity(4, 'n.i')}, t.team_id, {owner}, "
        f"'service.paused', t.created_at + n.i, t.created_at + n.i, 9, 'an event of a copied service, as long as they are', {event} "
        f"FROM counters AS s, services AS t, n WHERE s.name = 'events' AND t.id = '{service_id}'",
        f"UPDATE counters SET value = value + {services * events_each} WHERE name = 'events'",
    ])


@contextlib.contextmanager
def filled_server(program: Path, kind: str) -> Iterator[Server]:
    """A stopped server whose state, in "sqlite" or "postgresql", holds SERVICES services; removed at the end."""
    home = make_state_directory("scale")
    database = StateDatabase(home / "state-database").start() if kind == "postgresql" else None
    environment = {"BACKSTAY_SERVER_STATE": database.url} if database else {}
    server = Server(program, home, environment={**environment, "BACKSTAY_SERVER_REQUESTS_PER_SECOND": "0"})
    try:
        service, backup = make_template(server.start())
        server.stop()
        state = server.state
        instance = state.value(f"SELECT instance_id FROM services WHERE id = '{service}'")
        fill(state, service, instance, backup, SERVICES, BACKUPS_EACH, EVENTS_EACH)
        yield server
    finally:
        server.destroy()
        if database:
            database.stop()
        shutil.rmtree(home, ignore_errors=True)


def make_template(server: Server) -> tuple:
    """A paused service and its backup."""
    api = server.api()
    store = bodies.directory_store(server.state_dir, "scale")
    one = api.post("/managed-services", bodies.service(api.get("/teams")[0]["id"], "template", bodies.new_password(), store))["id"]
    backup = api.wait_for_backup(one)["id"]
    api.patch(f"/managed-services/{one}", {"pause": True})
    api.wait_for_state(one, "paused")
    return one, backup


@dataclass
class Figures:
    """Seconds, but for memory."""
    services: int
    start: float
    page_median: float
    page_99: float
    event_page_99: float
    tick_99: float  # a bound that 99 % of the ticks kept
    memory_mib: float  # the most it ever was

    def __str__(self) -> str:
        return (f"start {self.start:.2f} s, page median {self.page_median * 1000:.1f} ms, 99 % {self.page_99 * 1000:.1f} ms, "
                f"of events {self.event_page_99 * 1000:.1f} ms, "
                f"99 % of the ticks within {self.tick_99 * 1000:.0f} ms, memory {self.memory_mib:.0f} MiB")


def measure(server: Server) -> Figures:
    began = time.perf_counter()
    server.start()
    started = time.perf_counter() - began
    api = server.api()
    # The first looks at all of them, after which only what changes or is due is looked at.
    wait_for("the server is idle", lambda: ticks(api).get("+Inf", 0) > 20, 120)
    let_time_pass(15)
    before = ticks(api)
    times = []
    for _ in range(3):
        more, services = page_times(api, "/managed-services")
        times += more
    events = sorted(page_times(api, "/api/events", 200)[0])
    let_time_pass(5)
    after = ticks(api)
    times.sort()
    return Figures(services=services, start=started, page_median=times[len(times) // 2], page_99=part_99(times),
                   event_page_99=part_99(events),
                   tick_99=bound_of({bound: after[bound] - before[bound] for bound in after}, 0.99),
                   memory_mib=peak_memory_mib(server))


def part_99(times: list) -> float:
    return times[int(len(times) * 0.99) - 1]


def bound_of(counts: dict, part: float) -> float:
    """The smallest bound of a histogram that holds this part of what was counted."""
    return min(float(bound) for bound, count in counts.items() if count >= part * counts["+Inf"])


def peak_memory_mib(server: Server) -> float:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


def ticks(api) -> dict:
    """bound -> ticks that took no longer; "+Inf" is all."""
    text = api.raw("GET", "/metrics").body
    return {bound: float(count) for bound, count in
            re.findall(r'backstay_control_tick_seconds_bucket\{le="([^"]+)"\} (\S+)', text)}


def page_times(api, path: str, pages: int = 1000) -> tuple:
    """What each of the first pages of a list took, and how much they held."""
    parts = urllib.parse.urlsplit(api.url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    headers = {"Authorization": f"Bearer {api.token}"}
    times, token, seen = [], "", 0
    while True:
        began = time.perf_counter()
        connection.request("GET", f"{path}?limit=100{'&page_token=' + token if token else ''}", headers=headers)
        answer = connection.getresponse()
        text = answer.read()
        times.append(time.perf_counter() - began)
        assert answer.status == 200, text
        seen += len(json.loads(text))
        token = answer.headers.get("X-Next-Page-Token", "")
        if not token or len(times) == pages:
            connection.close()
            return times, seen
