#!/usr/bin/env python3
"""The main job on a real PostgreSQL: deploy, write, back up, lose a table, get it back, compare everything.

Each step prints the request that it sends. Exits non-zero if any row differs. The server and its services stay up,
unless BACKSTAY_DEMO_EXIT=1 is set; `./dev demo --stop` ends what an earlier demo left.
"""
import argparse
import json
import os
import secrets
import shutil
import signal
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from support.database import Database, hash_of  # noqa: E402
from support.server import Server, make_state_directory, masked  # noqa: E402
from support.waiting import let_time_pass, wait_for  # noqa: E402

LEFT_BEHIND = ROOT / "build" / "demo.json"

FIRST_ROWS = """
CREATE TABLE customers (id bigint PRIMARY KEY, name text NOT NULL, country char(2) NOT NULL);
CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint NOT NULL REFERENCES customers, cents bigint NOT NULL,
                     note text NOT NULL, placed_at timestamptz NOT NULL);
CREATE TABLE clicks (id bigint PRIMARY KEY, payload jsonb NOT NULL);
CREATE INDEX ON orders (customer_id);
INSERT INTO customers SELECT i, 'customer ' || md5(i::text), (ARRAY['AT','DE','FR','IT','PL'])[1 + i % 5]
  FROM generate_series(1, 10000) i;
INSERT INTO orders SELECT i, 1 + i % 10000, (i::bigint * 7919) % 100000, repeat(md5(i::text), 3), timestamptz '2026-01-01' + i * interval '1 minute'
  FROM generate_series(1, 60000) i;
INSERT INTO clicks SELECT i, jsonb_build_object('path', '/p/' || i % 97, 'agent', md5((i % 50)::text), 'ms', i % 1000)
  FROM generate_series(1, 40000) i;
"""
MORE_ROWS = """
INSERT INTO orders SELECT i, 1 + i % 10000, (i::bigint * 104729) % 100000, md5(i::text), timestamptz '2026-02-01' + i * interval '1 minute'
  FROM generate_series(60001, 75000) i;
UPDATE customers SET name = upper(name) WHERE id % 10 = 0;
DELETE FROM clicks WHERE id % 20 = 0;
"""
ROWS_BEFORE_THE_LOSS = {"customers": 10000, "orders": 75000, "clicks": 38000}
LOST_TABLE = "orders"


class Stage:
    """Prints steps, requests and times, and keeps them for the end."""

    def __init__(self):
        self.number, self.times = 0, []

    def begin(self, title: str) -> None:
        self.number += 1
        self.title, self.began = title, time.monotonic()
        print(f"\n[{self.number}] {title}", flush=True)

    def end(self, title: str = "") -> None:
        seconds = time.monotonic() - self.began
        self.times.append((title or self.title, seconds))
        self.say(f"took {seconds:.1f} s")

    @staticmethod
    def say(text: str) -> None:
        print(f"    {text}", flush=True)

    def request(self, method: str, path: str, body) -> None:
        self.say(f"> {method} {path}")
        if body is not None:
            for line in masked(json.dumps(body, indent=2)).splitlines():
                self.say(f"> {line}")


class Demo:
    def __init__(self, program: Path, with_s3: bool):
        self.stage, self.with_s3 = Stage(), with_s3
        self.home = make_state_directory("demo")
        self.server = Server(program, self.home)
        self.rgw = None
        self.password = secrets.token_urlsafe(18)

    def database(self, service_id: str) -> Database:
        return Database.of(self.api.details(service_id), self.password)

    def show_counts(self, counts: dict) -> None:
        for table, (rows, digest) in counts.items():
            self.stage.say(f"{table:<10} {rows:>7} rows   {digest}")

    def start(self) -> None:
        self.stage.begin("Start the server")
        if self.with_s3:
            from support.rgw import Rgw
            self.rgw = Rgw(self.home / "rgw").start()
            self.stage.say(f"Ceph RGW as the store: {self.rgw.url}")
        self.server.start()
        self.api = self.server.api(self.stage.request)
        self.stage.say(f"address    {self.server.url}")
        self.stage.say(f"token in   {self.server.token_file}")
        self.stage.end()

    def store(self) -> dict:
        """The config and secrets of backups: a directory below the allowed root, or a bucket."""
        if self.rgw is None:
            return {"config": {"destinationPath": f"file://{self.server.state_dir}/stores/demo"}, "secrets": {}}
        bucket = self.rgw.make_bucket("demo")
        return {"config": {"endpointUrl": self.rgw.url, "destinationPath": f"s3://{bucket}/shop"},
                "secrets": {"accessKey": self.rgw.access_key, "secretKey": self.rgw.secret_key}}

    def find_provider(self) -> dict:
        self.stage.begin("Look at the catalogue")
        offers = [p for p in self.api.get("/managed-services/providers") if p["name"] == "postgresql"]
        provider = max(offers, key=lambda p: int(p["version"]))
        can = ", ".join(name for name, able in provider["capabilities"].items() if able)
        self.stage.say(f"postgresql {provider['version']}: {can}")
        self.stage.end()
        return provider

    def deploy(self, provider: dict) -> str:
        self.stage.begin("Deploy a PostgreSQL with backups on, and wait until it serves")
        team = self.api.get("/teams")[0]["id"]
        self.body = {"teamId": team, "name": "shop", "provider": {"name": provider["name"], "version": provider["version"]},
                     "plan": {"id": 1, "parameters": {"storage": 10}}, "config": {"max_connections": "100"},
                     "secrets": {"password": self.password},
                     "backups": {"enabled": True, "intervalH": 24, "deleteRetentionDays": 7, **self.store()}}
        service = self.api.post("/managed-services", self.body)
        self.api.wait_for_state(service["id"], "synchronized", 180)
        details = self.api.details(service["id"])
        self.stage.say(f"serves at {details['dsn']}")
        self.stage.end("deploy until it serves")
        return service["id"]

    def await_backup(self, source: str) -> None:
        self.stage.begin("Wait for the first backup: stored, then read back from the store and checked")
        backup = self.api.wait_for_backup(source, seconds=300)
        for fact in ("takenAt", "storedAt", "confirmedAt"):
            self.stage.say(f"{fact:<12} {backup[fact]}")
        self.stage.say(f"{backup['dataBytes'] / 2**20:.1f} MiB of data, {backup['storedBytes'] / 2**20:.1f} MiB in the store")
        self.stage.end("first backup, read back")

    def write(self, source: str) -> str:
        self.stage.begin("Write: three tables, then changes to them")
        database = self.database(source)
        database.sql(FIRST_ROWS)
        database.sql(MORE_ROWS)
        self.before = database.fingerprints()
        self.dump_before = database.dump()
        self.show_counts(self.before)
        counts = {table: rows for table, (rows, _) in self.before.items()}
        self.check("rows before the loss", counts, ROWS_BEFORE_THE_LOSS)
        moment = database.sql("SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
        self.stage.say(f"all is well at {moment}")
        self.stage.end("write 113,000 rows and change some")
        return moment

    def lose(self, source: str) -> None:
        self.stage.begin("A second later: the loss")
        let_time_pass(1.0)
        database = self.database(source)
        database.sql(f"DROP TABLE {LOST_TABLE} CASCADE; INSERT INTO customers VALUES (999999, 'written after the loss', 'XX');")
        self.stage.say(f"DROP TABLE {LOST_TABLE};  and life goes on: one more customer")
        self.after_loss = database.fingerprints()
        self.show_counts(self.after_loss)
        self.check(f"'{LOST_TABLE}' is gone", LOST_TABLE in self.after_loss, False)
        self.stage.end("the loss")

    def show_window(self, source: str) -> None:
        self.stage.begin("Ask what can be reached")
        window = self.api.get(f"/api/managed-services/{source}/recovery-window")
        self.stage.say(f"from {window.get('earliest')} to {window.get('latest')}")
        self.stage.end()

    def recover(self, source: str, moment: str) -> str:
        self.stage.begin(f"Recover as a new service, to {moment}")
        body = {key: value for key, value in self.body.items() if key != "backups"}
        backups = self.body["backups"]
        body |= {"name": "shop-recovered", "recoverFrom": {"msId": source, "time": moment, "config": backups["config"],
                                                          "secrets": backups["secrets"]}}
        service = self.api.post("/managed-services", body)
        self.api.wait_for_state(service["id"], "synchronized", 300)
        self.stage.say(f"serves at {self.api.details(service['id'])['dsn']}")
        self.stage.end("recover until it serves")
        return service["id"]

    def compare(self, source: str, recovered: str) -> None:
        self.stage.begin("Compare: everything, not only counts")
        database = self.database(recovered)
        counts = database.fingerprints()
        self.show_counts(counts)
        self.check("every row of every table is as it was", counts, self.before)
        dump = database.dump()
        self.check("pg_dump of the whole database is as it was", hash_of(dump), hash_of(self.dump_before))
        self.check("the source is untouched: still without the table, with the later customer",
                   self.database(source).fingerprints(), self.after_loss)
        database.sql("INSERT INTO customers VALUES (10001, 'first of the new branch', 'AT')")
        self.check("the new service takes writes", database.sql("SELECT count(*) FROM customers"), "10001")
        self.stage.end("compare")

    def check(self, what: str, seen, wanted) -> None:
        if seen != wanted:
            self.stage.say(f"WRONG: {what}\n      wanted {wanted}\n      seen   {seen}")
            raise SystemExit(1)
        self.stage.say(f"right: {what}")

    def run(self) -> None:
        self.start()
        source = self.deploy(self.find_provider())
        self.await_backup(source)
        moment = self.write(source)
        self.lose(source)
        self.show_window(source)
        self.compare(source, self.recover(source, moment))
        self.summary()

    def summary(self) -> None:
        print("\nHow long it took")
        for title, seconds in self.stage.times:
            print(f"    {seconds:6.1f} s  {title}")

    def leave_running(self, program: Path) -> None:
        pids = [self.server.process.pid] + (self.rgw.pids() if self.rgw else [])
        LEFT_BEHIND.parent.mkdir(exist_ok=True)
        LEFT_BEHIND.write_text(json.dumps({"home": str(self.home), "pids": pids}))
        shown = program.resolve().relative_to(ROOT)
        print(f"""
The server is running
    address     {self.server.url}
    token in    {self.server.token_file}
    log         {self.server.log_file}

Try next
    {shown} services list --state-dir {self.server.state_dir}
    {shown} window shop --state-dir {self.server.state_dir}
    {shown} backups create shop --wait --state-dir {self.server.state_dir}
and when you have seen enough
    ./dev demo --stop""")

    def clean_up(self) -> None:
        """Stops the server as an operator would, then ends what it left running on purpose, and removes everything."""
        self.server.stop()
        if self.rgw:
            self.rgw.stop()
        self.server.destroy()
        if self.home.exists():
            raise SystemExit(f"{self.home} could not be removed")
        print("\nServer and services are stopped, their files are removed.")


def is_ours(pid: int, home: Path) -> bool:
    """Still the process that the demo started: a pid may have been given to another one since."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return False
    return str(home) in command


def stop_earlier_demo() -> None:
    if not LEFT_BEHIND.exists():
        print("no demo is running")
        return
    left = json.loads(LEFT_BEHIND.read_text())
    home = Path(left["home"])
    pids = [pid for pid in left["pids"] if is_ours(pid, home)]
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
    try:
        wait_for("the server ends", lambda: not any(is_ours(pid, home) for pid in pids), 60)
    except TimeoutError:
        for pid in pids:
            if is_ours(pid, home):
                os.kill(pid, signal.SIGKILL)
    Server(ROOT / "build/release/backstay", home).destroy()
    shutil.rmtree(home, ignore_errors=True)
    LEFT_BEHIND.unlink()
    print(f"stopped, {home} is removed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", type=Path, default=ROOT / "build/release/backstay")
    parser.add_argument("--s3", action="store_true", help="Ceph RGW as the store instead of a directory")
    parser.add_argument("--stop", action="store_true", help="end what an earlier demo left running")
    arguments = parser.parse_args()
    if arguments.stop:
        stop_earlier_demo()
        return
    demo = Demo(arguments.program, arguments.s3)
    finished = False
    try:
        demo.run()
        finished = True
    except (Exception, SystemExit) as error:
        print(f"\nThe demo failed: {error}\nThe server's last lines:\n{demo.server.log_tail(20)}", file=sys.stderr)
    if finished and os.environ.get("BACKSTAY_DEMO_EXIT") != "1":
        demo.leave_running(arguments.program)
        return
    demo.clean_up()
    sys.exit(0 if finished else 1)


if __name__ == "__main__":
    main()
