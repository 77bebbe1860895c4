"""Several majors of PostgreSQL on one machine: each does the main job, and a logical backup goes into any newer one.

17 and 18 come without client programs here, so that SQL is the judge of what is in them."""
import difflib
import shutil
from pathlib import Path

import pytest
from conftest import ROOT, Deployed, deploy

from support import bodies
from support.server import make_state_directory
from support.waiting import wait_for

CONTENT = (ROOT / "tests/support/content.sql").read_text()
NEWER = ["17", "18"]
MORE = """
CREATE EXTENSION pg_trgm;
CREATE TYPE mood AS ENUM ('low', 'high');
CREATE TABLE numbered (id bigint GENERATED ALWAYS AS IDENTITY, body text);
INSERT INTO numbered (body) SELECT 'n' || i FROM generate_series(1, 9) i;
CREATE TABLE parts (day date NOT NULL, m mood DEFAULT 'low', twice int GENERATED ALWAYS AS (1 + 1) STORED)
  PARTITION BY RANGE (day);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE parts_2 PARTITION OF parts DEFAULT;
INSERT INTO parts (day) SELECT date '2026-01-20' + i FROM generate_series(1, 50) i;
CREATE TABLE odd (id int PRIMARY KEY, body text, raw bytea, CHECK (id > 0));
INSERT INTO odd VALUES (1, E'tab\\there \\\\! no command\\n\\\\.\\nSELECT ''x'';', '\\x00ff5c21'), (2, NULL, NULL), (3, '$$ -- /* "', '');
CREATE INDEX words ON odd USING gin (body gin_trgm_ops);
CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT n * 2; END;
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN NEW.body := coalesce(NEW.body, 'none'); RETURN NEW; END $f$;
CREATE TRIGGER stamped BEFORE UPDATE ON odd FOR EACH ROW EXECUTE FUNCTION stamp();
CREATE MATERIALIZED VIEW counted AS SELECT m, count(*) FROM parts GROUP BY m;
SELECT lo_from_bytea(4711, 'a large object');
"""


@pytest.fixture(scope="module")
def dumps():
    path = make_state_directory("dumps")
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def server(new_server, dumps):
    newer = ROOT / "build/postgresql"
    assert all((newer / major / "bin/postgres").is_file() for major in NEWER), "run ./dev setup test"
    server = new_server("majors", environment={"BACKSTAY_POSTGRES_INSTALLATION_ROOTS": f"/usr/lib/postgresql,{newer}",
                                               "BACKSTAY_IMPORT_ROOTS": str(dumps)})
    return server.start()


@pytest.fixture(scope="module")
def api(server):
    return server.api()


def body(server, name: str, major: str, **more) -> dict:
    team = server.api().get("/teams")[0]["id"]
    store = bodies.directory_store(server.state_dir, name)
    return bodies.service(team, name, bodies.new_password(), store) | {"provider": {"name": "postgresql", "version": major}} | more


def content(deployed: Deployed) -> list:
    return deployed.database().sql(CONTENT).splitlines()


def difference(one: list, other: list) -> list:
    """A view's text is put differently by each major; its rows are compared."""
    one, other = ([line for line in lines if not line.startswith("view|")] for lines in (one, other))
    return [line for line in difflib.unified_diff(other, one, lineterm="", n=0) if not line.startswith(("---", "+++", "@@"))]


def major_of(deployed: Deployed) -> str:
    return deployed.database().sql("SHOW server_version").split(".")[0]


@pytest.fixture(scope="module")
def old(server, api) -> Deployed:
    """A service of 15 that holds something of everything."""
    deployed = deploy(api, body(server, "old", "15"))
    deployed.database().sql(bodies.WELL_FILLED + MORE)
    api.wait_for_backup(deployed.id)
    return deployed


@pytest.fixture(scope="module")
def dump(old, api) -> dict:
    return api.wait_for_backup(old.id, api.post(f"/managed-services/{old.id}/backups", {"mechanism": "logical"})["id"])


def refused(api, method: str, path: str, request=None, status: int = 400) -> dict:
    answer = api.raw(method, path, request)
    assert answer.status == status, answer.body
    return answer.body


def test_what_is_installed_is_offered_and_nothing_else(server, api):
    offered = {one["version"] for one in api.get("/managed-services/providers") if one["name"] == "postgresql"}
    assert offered == {"15", *NEWER}
    answer = api.raw("POST", "/managed-services", body(server, "none", "16"))
    assert answer.status in (400, 404) and "'postgresql' version '16' is not offered here" in answer.body["detail"], answer.body
    assert all(f"version '{major}'" in answer.body["detail"] for major in ("15", *NEWER))


@pytest.mark.parametrize("major", NEWER)
def test_a_logical_backup_goes_into_a_newer_major(server, api, old, dump, major):
    wanted = body(server, f"new-{major}", major, recoverFrom=bodies.recover(old.store, id=dump["id"]))
    del wanted["backups"]
    told = api.post("/api/recoveries?dryRun=true", wanted)
    assert told["forecast"]["backup"]["id"] == dump["id"]
    new = deploy(api, wanted)
    assert major_of(new) == major
    before = content(old)
    assert len(before) > 60
    assert difference(content(new), before) == []


@pytest.mark.parametrize("major", NEWER)
def test_a_newer_major_imports_and_does_the_main_job(server, api, old, dump, dumps, major):
    new = deploy(api, body(server, f"main-{major}", major))
    if major == "17":
        answer = api.raw("POST", f"/api/managed-services/{new.id}/imports", {"backupId": dump["id"]})
        assert answer.status == 202, answer.body
        assert api.wait_for_operation(answer.body["id"])["state"] == "succeeded"
    else:
        imported_by_lnchr(api, old, new, dumps)
    before = content(old)
    assert difference(content(new), before) == []

    # The main job: whatever happens after a moment, that moment comes back.
    new.backup()
    new.database().sql(bodies.CHANGED_SINCE)
    held, moment = content(new), new.now()
    new.database().sql("DROP TABLE customers CASCADE; DELETE FROM notes")
    back = deploy(api, body(server, f"back-{major}", major, recoverFrom=bodies.recover(new.store, msId=new.id, time=moment)))
    assert major_of(back) == major and difference(content(back), held) == []

    # What is not possible here is refused with the reason.
    told = refused(api, "POST", f"/managed-services/{new.id}/backups", {"mechanism": "logical"})
    assert f"there is no pg_dump of PostgreSQL {major}" in told["detail"]
    for other in {"15", *NEWER} - {major}:
        wanted = body(server, "other", other, recoverFrom=bodies.recover(new.store, msId=new.id, time=moment))
        told = refused(api, "POST", "/managed-services", wanted)
        assert told["errors"][0]["pointer"] == "/provider/version" and f"are of PostgreSQL {major}" in told["detail"], told


def imported_by_lnchr(api, old: Deployed, new: Deployed, dumps: Path) -> None:
    """An archive of pg_dump's own, by a path on the machine."""
    file = dumps / "old.dump"
    old.database().run("pg_dump", "--format=custom", f"--file={file}")
    file.chmod(0o644)
    answer = api.raw("POST", f"/api/v1/databases/{new.id}/import", {"path": str(file)})
    assert answer.status == 201, answer.body
    started = answer.body["data"]

    def probe():
        seen = api.raw("GET", f"/api/v1/databases/{new.id}/imports/{started['id']}").body["data"]
        return seen if seen["status"] in ("completed", "failed") else None
    done = wait_for("the import ends", probe, 60)
    assert done["status"] == "completed", done


def test_a_physical_backup_stays_with_its_major(server, api, old, dump):
    physical = old.backup()
    wanted = body(server, "physical", "17", recoverFrom=bodies.recover(old.store, id=physical["id"]))
    told = refused(api, "POST", "/managed-services", wanted)
    assert told["errors"] == [{"pointer": "/provider/version", "message": "must be PostgreSQL 15"}]
    assert "logical backup goes into any later version" in told["hint"]
