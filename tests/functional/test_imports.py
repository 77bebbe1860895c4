"""Dumps taken into running services: every form that pg_dump makes, by every way in, and what is refused."""
import gzip
import http.client
import os
import shutil
import socket
import subprocess
import tarfile
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import Deployed, deploy

from support import bodies
from support.server import make_state_directory
from support.waiting import wait_for

LIMIT = 20_000_000
WELL_FORMED_MORE = """
CREATE EXTENSION pg_trgm;
CREATE TABLE odd (id int PRIMARY KEY, body text, raw bytea);
INSERT INTO odd VALUES (1, E'tab\\there \\\\! not a command\\n\\\\.\\nSELECT ''x'';', '\\x00ff5c21'), (2, NULL, NULL), (3, '$$ -- /* "', '');
CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT n; SELECT CASE WHEN n > 0 THEN n * 2 END; END;
CREATE FUNCTION cite() RETURNS text LANGUAGE plpgsql AS $f$ BEGIN RETURN E'\\\\! id'; END $f$;
CREATE VIEW "odd ""view"" too" AS SELECT id, body FROM odd;
CREATE SEQUENCE counted; SELECT nextval('counted'), nextval('counted');
SELECT lo_from_bytea(0, 'a large object');
COMMENT ON TABLE odd IS 'GRANT ALL ON odd TO nobody; \\connect';
GRANT SELECT ON odd TO PUBLIC;
"""


@pytest.fixture(scope="module")
def roots() -> Path:
    path = make_state_directory("dumps")
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def importer(new_server, roots):
    server = new_server("imports", environment={"BACKSTAY_IMPORT_ROOTS": str(roots),
                                                "BACKSTAY_IMPORT_MAX_UPLOAD_BYTES": str(LIMIT)}).start()
    server.team = server.api().get("/teams")[0]["id"]
    return server


def plain(server, name: str, **more) -> dict:
    return bodies.service(server.team, name, bodies.new_password(), None) | more


@pytest.fixture(scope="module")
def source(importer) -> Deployed:
    deployed = deploy(importer.api(), plain(importer, "source"))
    deployed.database().sql(bodies.WELL_FILLED + WELL_FORMED_MORE)
    return deployed


def dumped(source: Deployed, *options: str) -> None:
    source.database().run("pg_dump", *options)


def upload(target: Deployed, content: bytes, kind: str = "application/octet-stream", query: str = ""):
    return target.api.raw("POST", f"/api/managed-services/{target.id}/imports{query}", content, {"Content-Type": kind})


def ended(target: Deployed, answer) -> dict:
    assert answer.status == 202, answer.body
    return target.api.wait_for_operation(answer.body["id"])


def imported(target: Deployed, answer) -> dict:
    operation = ended(target, answer)
    assert operation["state"] == "succeeded", operation
    assert "import.finished" in target.api.events_text(target.id)
    return operation["result"]


def failed(target: Deployed, answer) -> str:
    operation = ended(target, answer)
    assert operation["state"] == "failed", operation
    assert "import.failed" in target.api.events_text(target.id)
    return operation["error"]["message"]


def by_path(target: Deployed, path, **more):
    return target.api.raw("POST", f"/api/managed-services/{target.id}/imports", {"path": str(path), **more})


def content(database) -> str:
    """What is the same after a round trip: without owners and privileges."""
    text = database.run("pg_dump", "--no-owner", "--no-privileges")
    return "\n".join(line for line in text.splitlines() if not line.startswith(("\\restrict", "\\unrestrict", "--")))


@pytest.fixture
def empty(importer) -> Deployed:
    """A service without data; gone after the test."""
    deployed = deploy(importer.api(), plain(importer, f"to-{uuid.uuid4()}"))
    yield deployed
    deployed.api.delete(f"/managed-services/{deployed.id}?finalBackup=skip")


def untouched(target: Deployed) -> bool:
    return target.database().sql("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace") == "0"


def spooled(server) -> list:
    return list((server.state_dir / "imports").glob("*")) + list((server.state_dir / "scratch").glob("*"))


def as_directory(source: Deployed, into: Path) -> Path:
    dumped(source, "--format=directory", f"--file={into}")
    return into


FORMS = {
    "plain": lambda source, path: dumped(source, f"--file={path}"),
    "inserts": lambda source, path: dumped(source, "--inserts", f"--file={path}"),
    "gzip": lambda source, path: dumped(source, "--compress=6", f"--file={path}"),
    "custom": lambda source, path: dumped(source, "--format=custom", f"--file={path}"),
    "tar": lambda source, path: dumped(source, "--format=tar", f"--file={path}"),
}


def make_dump(source: Deployed, form: str, path: Path) -> Path:
    if form in FORMS:
        FORMS[form](source, path)
    elif form == "directory":
        as_directory(source, path)
    elif form == "tar-of-directory":
        with tarfile.open(path, "w") as archive:
            archive.add(as_directory(source, path.with_suffix(".d")), arcname="shop/dump")
    elif form == "custom-in-gzip":
        FORMS["custom"](source, path.with_suffix(".c"))
        path.write_bytes(gzip.compress(path.with_suffix(".c").read_bytes()))
    elif form == "zstd":
        FORMS["plain"](source, path.with_suffix(".sql"))
        subprocess.run(["zstd", "-q", "-o", path, path.with_suffix(".sql")], check=True)
    return path


@pytest.mark.parametrize("form,told", [("plain", "plain"), ("inserts", "plain"), ("gzip", "plain"), ("zstd", "plain"),
                                       ("custom", "custom"), ("custom-in-gzip", "custom"), ("tar", "tar"),
                                       ("tar-of-directory", "tar"), ("directory", "directory")])
def test_each_form_becomes_the_same_database(importer, source, empty, roots, tmp_path, form, told):
    if form == "zstd" and shutil.which("zstd") is None:
        pytest.skip("there is no zstd program")
    if told in ("tar", "directory") and os.geteuid() != 0:
        pytest.skip("taken only where services have users of their own")
    if form == "directory":
        dump = make_dump(source, form, roots / "of-source.with-a-misleading-name.sql")
        for path in [dump, *dump.iterdir()]:
            os.chown(path, os.geteuid(), os.getegid())
        answer = by_path(empty, dump)
    else:
        answer = upload(empty, make_dump(source, form, tmp_path / "x.png").read_bytes())
    result = imported(empty, answer)
    assert result["format"] == told and result["statements"] > 10
    assert content(empty.database()) == content(source.database())
    assert empty.database().sql("SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace "
                                "AND pg_get_userbyid(relowner) <> current_user") == "0"
    assert spooled(importer) == []


def test_a_logical_backup_comes_back_by_three_ways(shop, server):
    before = content(shop.database())
    entry = shop.api.post(f"/managed-services/{shop.id}/backups", {"mechanism": "logical"})
    backup = shop.api.wait_for_backup(shop.id, entry["id"])
    sql = shop.api.raw("GET", f"/api/backups/{backup['id']}/dump").body.encode()
    form = b'--b\r\nContent-Disposition: form-data; name="format"\r\n\r\nplain\r\n--b\r\n' \
           b'Content-Disposition: form-data; name="file"; filename="shop.sql"\r\n\r\n' + sql + b"\r\n--b--\r\n"
    ways = [lambda target: upload(target, sql, "application/sql"),
            lambda target: upload(target, form, "multipart/form-data; boundary=b"),
            lambda target: target.api.raw("POST", f"/api/managed-services/{target.id}/imports", {"backupId": backup["id"]})]
    for number, way in enumerate(ways):
        body = {key: value for key, value in shop.body.items() if key != "backups"} | {"name": f"shop-import-{number}"}
        target = deploy(shop.api, body)
        imported(target, way(target))
        assert content(target.database()) == before
    physical = next(one for one in shop.api.backups(shop.id) if one["mechanism"] == "physical")
    refused = shop.api.raw("POST", f"/api/managed-services/{shop.id}/imports", {"backupId": physical["id"]})
    assert refused.status == 400 and refused.body["errors"][0]["pointer"] == "/backupId", refused.body
    assert spooled(server) == []


def test_what_a_plain_dump_says_of_owners_is_left_out(empty):
    result = imported(empty, upload(empty, b"""CREATE TABLE t (a int);
ALTER TABLE public.t OWNER TO somebody_else;
GRANT ALL ON TABLE t TO another;
BEGIN; INSERT INTO t VALUES (1); COMMIT;
"""))
    assert result["leftOut"]["ownership"] == 2
    assert "owners and privileges were left out" in empty.api.events_text(empty.id)
    assert empty.database().sql("SELECT a FROM t") == "1"


def at_work(target: Deployed, query: str) -> None:
    asked = f"SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%{query}%' AND pid <> pg_backend_pid()"
    wait_for(f"{query} to run", lambda: target.database().sql(asked) == "1" or None, 60)


REFUSED = {
    "a command of psql": (b"CREATE TABLE t (a int);\n\\! touch /tmp/x\n", "line 2: the psql command '\\!'"),
    "another database": (b"CREATE DATABASE x;\n\\connect x\nCREATE TABLE t (a int);\n", "line 2: the psql command '\\connect'"),
    "an error in line 3": (b"CREATE TABLE t (a int);\nINSERT INTO t VALUES (1);\nINSERT INTO t VALUES ('x');\n", "line 3: ERROR:"),
    "bad COPY data": (b"CREATE TABLE t (a int);\nCOPY t FROM stdin;\n1\nx\n\\.\n", "COPY t, line 2"),
    "a program of the server": (b"CREATE TABLE t (a text);\nCOPY t FROM PROGRAM 'id';\n", "line 2: ERROR:"),
    "more rights": (b"CREATE TABLE t (a text);\nALTER ROLE current_user SUPERUSER;\n", "line 2: ERROR:"),
    "half a dump": (b"CREATE TABLE t (a int);\nCOPY t FROM stdin;\n1\n2", "ends within the COPY data"),
    "a picture": (b"\x89PNG\r\n\x1a\n\x00\x00\x00", "neither text nor an archive"),
    "an archive of another kind": (b"PK\x03\x04 etc", "it is zip"),
    "half a gzip": (gzip.compress(b"SELECT 1;" * 1000)[:40], "ends in the middle|end in the middle"),
    "a damaged archive": (b"PGDMP\x01\x0e\x00\x04\x08\x01" + b"\xff" * 200, ""),
}


def test_what_cannot_be_imported_leaves_nothing(importer, empty):
    for what, (dump, told) in REFUSED.items():
        message = failed(empty, upload(empty, dump))
        assert any(one in message for one in told.split("|")), (what, message)
        assert untouched(empty), what
    assert spooled(importer) == []
    assert "nothing of the dump is in the database" in empty.api.events_text(empty.id)
    refused = upload(empty, b"SELECT 1;", query="?format=zip")
    assert refused.status == 400, refused.body
    assert "not in custom form" in failed(empty, upload(empty, b"SELECT 1;", query="?format=custom"))
    for nothing in (b"", None):
        refused = empty.api.raw("POST", f"/api/managed-services/{empty.id}/imports", nothing, {"Content-Type": "application/sql"})
        assert refused.status == 400, refused.body


def test_uploads_are_bounded(importer, empty):
    path = f"/api/managed-services/{empty.id}/imports"
    # By what the head says, before the body comes.
    connection = http.client.HTTPConnection("127.0.0.1", int(importer.url.rsplit(":", 1)[1]), timeout=30)
    connection.putrequest("POST", path)
    for name, value in {"Authorization": f"Bearer {empty.api.token}", "Content-Type": "application/sql",
                        "Content-Length": str(LIMIT + 1), "Expect": "100-continue"}.items():
        connection.putheader(name, value)
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()
    # And by what comes, where nothing was said.
    done = subprocess.run(["curl", "-sS", "-w", "%{http_code}", "-o", "/dev/null", "-H", "Transfer-Encoding: chunked", "-H",
                           f"Authorization: Bearer {empty.api.token}", "-H", "Content-Type: application/sql",
                           "--data-binary", "@-", importer.url + path], input=b"-" * (LIMIT + 1_000_000),
                          capture_output=True, timeout=60)
    assert done.stdout == b"413", done
    assert spooled(importer) == []
    # Other calls keep their own limit.
    refused = empty.api.raw("POST", path, b'{"path": "' + b"x" * 5000 + b'"}')
    assert refused.status == 400, refused.body


def test_paths_are_taken_from_below_the_roots_only(empty, roots, tmp_path, server, shop):
    outside = tmp_path / "outside.sql"
    outside.write_text("SELECT 1;")
    (roots / "link.sql").symlink_to(outside)
    (roots / "deep").mkdir(exist_ok=True)
    (roots / "deep" / "link").symlink_to(tmp_path)
    for path in [outside, roots, "/etc/passwd", roots / "link.sql", roots / "deep" / "link" / "outside.sql",
                 f"{roots}/deep/../../{tmp_path.name}/outside.sql", f"{roots}x/a.sql", "relative.sql", "/dev/zero"]:
        refused = by_path(empty, path)
        assert refused.status in (400, 403), (path, refused.body)
        assert refused.body["errors"][0]["pointer"] == "/path", (path, refused.body)
    assert by_path(empty, roots / "missing.sql").status == 404
    (roots / "good.sql").write_text("CREATE TABLE t (a int);")
    imported(empty, by_path(empty, roots / "good.sql"))
    assert (roots / "good.sql").exists()
    # Where the operator allows none, none is.
    refused = by_path(shop, roots / "good.sql")
    assert refused.status in (400, 403) and refused.body["errors"][0]["pointer"] == "/path", refused.body


class Web:
    """Serves one dump, and an address that sends elsewhere."""

    def __init__(self, dump: bytes):
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                if self.path == "/dump":
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(dump)))
                    self.end_headers()
                    self.wfile.write(dump)
                else:
                    self.send_response(302)
                    self.send_header("Location", "/dump")
                    self.end_headers()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def test_a_url_is_fetched_under_the_egress_policy(importer, empty):
    web = Web(b"CREATE TABLE from_the_web (a int);\n")
    try:
        imported(empty, empty.api.raw("POST", f"/api/managed-services/{empty.id}/imports", {"url": f"{web.url}/dump"}))
        assert empty.database().tables() == ["from_the_web"]
        message = failed(empty, empty.api.raw("POST", f"/api/managed-services/{empty.id}/imports", {"url": f"{web.url}/else"}))
        assert "302" in message
    finally:
        web.stop()
    for url in ["http://169.254.169.254/latest/meta-data", "http://[fe80::1]/x"]:
        refused = empty.api.raw("POST", f"/api/managed-services/{empty.id}/imports", {"url": url})
        assert refused.body["code"] == "egress_refused" and refused.body["errors"][0]["pointer"] == "/url", refused.body
    for url in ["file:///etc/passwd", "ftp://x/y", "x"]:
        refused = empty.api.raw("POST", f"/api/managed-services/{empty.id}/imports", {"url": url})
        assert refused.status == 400 and refused.body["errors"][0]["pointer"] == "/url", refused.body
    assert spooled(importer) == []


def test_a_running_import_is_cancelled_and_leaves_nothing(empty):
    answer = upload(empty, b"CREATE TABLE t (a int);\nSELECT pg_sleep(100);\n")
    assert answer.status == 202
    at_work(empty, "pg_sleep(100)")
    conflict = upload(empty, b"SELECT 1;")
    assert conflict.body["code"] == "conflict" and "another dump" in conflict.body["detail"], conflict.body
    empty.api.post(f"/api/operations/{answer.body['id']}/cancel")
    assert empty.api.wait_for_operation(answer.body["id"])["state"] == "cancelled"
    assert untouched(empty)


def test_a_paused_service_takes_nothing(empty):
    empty.api.patch(f"/managed-services/{empty.id}", {"pause": True})
    empty.api.wait_for_state(empty.id, "paused")
    refused = upload(empty, b"SELECT 1;")
    assert refused.body["code"] == "conflict" and "paused" in refused.body["detail"], refused.body


def test_a_token_uploads_two_at_a_time(importer, empty):
    head = (f"POST /api/managed-services/{empty.id}/imports HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {empty.api.token}\r\n"
            "Content-Type: application/sql\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n").encode()
    sending = [socket.create_connection(("127.0.0.1", int(importer.url.rsplit(":", 1)[1])), timeout=30) for _ in range(2)]
    try:
        for connection in sending:
            connection.sendall(head)
            assert b"100 Continue" in connection.recv(1000)  # it has its place, and waits for its body
        refused = upload(empty, b"SELECT 1;")
        assert refused.status == 429 and refused.body["code"] == "rate_limited", refused.body
        sending[0].sendall(b"SELECT 1;\n")
        assert b" 202 " in sending[0].recv(1000)
    finally:
        for connection in sending:
            connection.close()


def test_a_killed_server_loads_once(own_server):
    api = own_server.api()
    team = api.get("/teams")[0]["id"]
    target = deploy(api, bodies.service(team, "killed", bodies.new_password(), None))
    answer = upload(target, b"CREATE TABLE t (a int);\nINSERT INTO t VALUES (1);\nSELECT pg_sleep(2);\n")
    at_work(target, "pg_sleep(2)")
    own_server.kill()
    own_server.start()
    target.api = own_server.api()
    operation = target.api.wait_for_operation(answer.body["id"])
    assert operation["state"] == "succeeded", operation
    assert target.database().sql("SELECT count(*) FROM t") == "1"
    assert spooled(own_server) == []
