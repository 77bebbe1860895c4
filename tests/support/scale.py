"""Fills a state with thousands of services and backups, by copying one service of a stopped server within SQL."""
import sqlite3
from pathlib import Path

# Counts without a table of numbers, in the SQL that SQLite and PostgreSQL share.
NUMBERS = "WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last}) "


class SqliteState:
    def __init__(self, file: Path):
        self.file = file

    def run(self, statements: list) -> None:
        connection = sqlite3.connect(self.file)
        try:
            for statement in statements:
                connection.execute(statement)
            connection.commit()
        finally:
            connection.close()

    def columns(self, table: str) -> list:
        connection = sqlite3.connect(self.file)
        try:
            return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        finally:
            connection.close()


class PostgresqlState:
    def __init__(self, database):
        self.database = database

    def run(self, statements: list) -> None:
        for statement in [*statements, "ANALYZE"]:
            self.database.sql(statement)

    def columns(self, table: str) -> list:
        return self.database.sql("SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND "
                                 f"table_name = '{table}' ORDER BY ordinal_position").split()


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
