"""The main job: what was lost comes back, whole, and the source is not touched."""
import os
import re

import pytest
from conftest import deploy

from support import bodies
from support.api import ApiError
from support.waiting import let_time_pass


def recovered_from(source, name: str, store: dict, **target):
    body = {key: value for key, value in source.body.items() if key != "backups"}
    return deploy(source.api, body | {"name": name, "recoverFrom": bodies.recover(store, **target)})


def dump_all(deployed) -> str:
    """Every database, role and setting, as the true superuser sees them; without what two dumps of one thing differ in."""
    text = deployed.superuser().run("pg_dumpall", "--no-role-passwords")
    return "\n".join(line for line in text.splitlines() if not line.startswith(("--", "\\restrict", "\\unrestrict")))


def check_structure(deployed) -> None:
    """Every heap and index page, and that every row is found by its indexes."""
    database = deployed.superuser()
    database.sql("CREATE EXTENSION IF NOT EXISTS amcheck")
    database.run("pg_amcheck", "--heapallindexed", "-d", database.name, timeout=300)


needs_superuser = pytest.mark.skipif(os.geteuid() != 0, reason="a true superuser is only given under an own uid")


def test_a_dropped_table_comes_back_to_the_second(shop):
    shop.database().sql(bodies.CHANGED_SINCE)
    before = shop.database().fingerprints()
    moment = shop.now()
    let_time_pass(1.0)
    shop.database().sql("DROP TABLE notes; INSERT INTO customers VALUES (1000001, 'after the loss')")
    after = shop.database().fingerprints()

    recovered = recovered_from(shop, "shop-before-the-loss", shop.store, msId=shop.id, time=moment)
    assert recovered.database().fingerprints() == before
    assert "notes" not in shop.database().tables()
    assert shop.database().fingerprints() == after
    assert recovered.id != shop.id


@needs_superuser
def test_a_recovered_database_is_the_same_in_full(shop):
    shop.backup()  # PostgreSQL logs sequences 32 values ahead: replayed ones are ahead, those of a backup are not
    before = dump_all(shop)
    moment = shop.now()
    let_time_pass(0.2)
    shop.database().sql("DELETE FROM orders WHERE id % 2 = 0")
    recovered = recovered_from(shop, "shop-in-full", shop.store, msId=shop.id, time=moment)
    assert dump_all(recovered) == before
    check_structure(recovered)


def test_just_after_the_last_commit_is_reachable_without_another_transaction(shop):
    shop.database().sql("CREATE TABLE last_words (word text); INSERT INTO last_words VALUES ('the last one')")
    moment = shop.now()
    recovered = recovered_from(shop, "shop-last-words", shop.store, msId=shop.id, time=moment)
    assert recovered.database().sql("SELECT word FROM last_words") == "the last one"


def test_recovery_to_a_backup(shop):
    database = shop.database()
    database.sql("CREATE TABLE at_backup AS SELECT i FROM generate_series(1, 1234) i")
    backup = shop.backup()
    database.sql("INSERT INTO at_backup SELECT i FROM generate_series(1, 1000) i")
    recovered = recovered_from(shop, "shop-at-backup", shop.store, id=backup["id"])
    assert recovered.database().sql("SELECT count(*) FROM at_backup") == "1234"


def test_credentials_of_the_recovered_service_are_those_of_the_request(shop):
    body = {key: value for key, value in shop.body.items() if key != "backups"}
    body |= {"name": "shop-other-people", "config": {"userName": "somebody", "databaseName": "elsewhere"},
             "secrets": {"password": bodies.new_password()},
             "recoverFrom": bodies.recover(shop.store, msId=shop.id, time=shop.now())}
    recovered = deploy(shop.api, body)
    database = recovered.database()
    assert (database.user, database.name) == ("somebody", "elsewhere")
    assert database.sql("SELECT count(*) FROM customers") != "0"
    assert database.sql("SELECT tableowner FROM pg_tables WHERE tablename = 'customers'") == "somebody"
    database.sql("INSERT INTO customers VALUES (2000001, 'by the new owner')")
    with pytest.raises(RuntimeError, match="authentication failed"):
        type(database)(database.host, database.port, database.user, database.name, shop.password).sql("SELECT 1")


@needs_superuser
def test_other_roles_log_in_to_what_was_recovered_only_if_that_was_asked_for(shop):
    password = bodies.new_password()
    shop.superuser().sql(f"CREATE ROLE auditor LOGIN PASSWORD '{password}'")
    moment = shop.now()
    body = {key: value for key, value in shop.body.items() if key != "backups"}
    target = bodies.recover(shop.store, msId=shop.id, time=moment)
    kept = deploy(shop.api, body | {"name": "shop-for-auditors", "recoverFrom": target | {"keepLogins": True}})
    closed = deploy(shop.api, body | {"name": "shop-without-auditors", "recoverFrom": target})
    may_log_in = "SELECT rolcanlogin FROM pg_roles WHERE rolname = 'auditor'"
    assert (kept.superuser().sql(may_log_in), closed.superuser().sql(may_log_in)) == ("t", "f")
    auditor = kept.database()
    auditor.user, auditor.password = "auditor", password
    assert auditor.sql("SELECT current_user") == "auditor"


def test_either_branch_can_be_recovered_again(shop):
    """Recover, write, back up, and recover again, from the new branch and from the old one."""
    api = shop.api
    database = shop.database()
    database.sql("CREATE TABLE branch (who text); INSERT INTO branch VALUES ('trunk')")
    moment = shop.now()
    let_time_pass(0.2)
    body = shop.body | {
        "name": "branch-a", "recoverFrom": bodies.recover(shop.store, msId=shop.id, time=moment)}
    branch = deploy(api, body)
    branch.database().sql("INSERT INTO branch VALUES ('on branch a')")
    api.wait_for_backup(branch.id)
    branch.database().sql("INSERT INTO branch VALUES ('after the backup of a')")
    of_branch = branch.now()
    database.sql("INSERT INTO branch VALUES ('on the trunk')")
    of_trunk = shop.now()

    again = recovered_from(branch, "branch-a-again", branch.store, msId=branch.id, time=of_branch)
    assert again.database().sql("SELECT who FROM branch ORDER BY who").split("\n") == [
        "after the backup of a", "on branch a", "trunk"]
    trunk = recovered_from(shop, "trunk-again", shop.store, msId=shop.id, time=of_trunk)
    assert trunk.database().sql("SELECT who FROM branch ORDER BY who").split("\n") == ["on the trunk", "trunk"]


def test_the_window_is_told_and_times_outside_it_are_refused_at_once(shop):
    api = shop.api
    window = api.get(f"/api/managed-services/{shop.id}/recovery-window")
    assert window["earliest"] < window["latest"]
    body = {key: value for key, value in shop.body.items() if key != "backups"}
    services_before = len(api.get("/managed-services"))
    for time in ("2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z"):
        with pytest.raises(ApiError) as refused:
            api.post("/managed-services", body | {"name": "never", "recoverFrom": bodies.recover(shop.store, msId=shop.id, time=time)})
        answer = refused.value.answer
        assert answer.status == 400 and answer.body["code"] == "recovery_out_of_reach", answer
        named = re.findall(r"\d{4}-\d\d-\d\dT[0-9:.]+Z", answer.body["detail"])
        if time < "2021":
            assert window["earliest"] in named, "the nearest time within reach is named"
        else:
            now = api.get(f"/api/managed-services/{shop.id}/recovery-window")["latest"]
            assert [it for it in named if window["latest"] <= it <= now], "the nearest time within reach is named"
    assert len(api.get("/managed-services")) == services_before


def test_the_main_job_on_s3(shared_server, team, rgw):
    api = shared_server.api()
    store = bodies.s3_store(rgw, rgw.make_bucket("main-job"), "pg/")
    source = deploy(api, bodies.service(team, "on-s3", bodies.new_password(), store))
    source.database().sql(bodies.WELL_FILLED)
    api.wait_for_backup(source.id)
    source.database().sql(bodies.CHANGED_SINCE)
    before, moment = source.database().fingerprints(), source.now()
    let_time_pass(0.5)
    source.database().sql("DROP TABLE orders CASCADE")
    recovered = recovered_from(source, "on-s3-again", store, msId=source.id, time=moment)
    assert recovered.database().fingerprints() == before
