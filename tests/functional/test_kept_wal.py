"""What servers may keep of their logs while a store is away is a part of the disk, and follows who is on it."""
import os

import pytest
from conftest import deploy

from support import bodies
from support.waiting import wait_for


def mebibytes(deployed) -> int:
    return int(deployed.database().sql("SELECT setting FROM pg_settings WHERE name = 'max_slot_wal_keep_size'"))


@pytest.mark.nightly
def test_services_share_the_disk_and_follow_while_they_run(own_server):
    api = own_server.api()
    team = api.get("/teams")[0]["id"]
    first = deploy(api, bodies.service(team, "first", bodies.new_password()))
    alone = mebibytes(first)
    if alone < 1200:
        pytest.skip("the disk is so full that every service has the least there is")
    second = deploy(api, bodies.service(team, "second", bodies.new_password()))
    wait_for("the first has made room", lambda: mebibytes(first) < alone * 0.7, 90)
    api.delete(f"/managed-services/{second.id}")
    wait_for("the first has it all again", lambda: mebibytes(first) > alone * 0.8, 90)


@pytest.mark.nightly
@pytest.mark.skipif(os.geteuid() != 0, reason="a superuser needs services with users of their own")
def test_no_superuser_lifts_the_limit_for_long(own_server):
    api = own_server.api()
    body = bodies.service(api.get("/teams")[0]["id"], "limited", bodies.new_password())
    body["secrets"]["superuserPassword"] = bodies.new_password()
    limited = deploy(api, body)
    limit = mebibytes(limited)
    superuser = limited.superuser()
    superuser.sql("ALTER SYSTEM SET max_slot_wal_keep_size = -1")
    written = "SELECT count(*) FROM pg_file_settings WHERE name = 'max_slot_wal_keep_size' AND setting = '-1'"
    assert superuser.sql(written) == "1"
    superuser.sql("SELECT pg_reload_conf()")
    wait_for("its setting is gone", lambda: superuser.sql(written) == "0", 90)
    wait_for("the limit is there again", lambda: 0.8 * limit < mebibytes(limited) < 1.2 * limit, 10)
