"""Write-ahead log on its way into the store and back."""
from pathlib import Path

from bench.cluster import BIN
from bench.measure import percentile
from bench.rows.fulls import QUESTION

# Takes the time of the program alone: the shell that PostgreSQL starts is there in any case.
TIMED_HELPER = """#!/bin/bash
begin=$EPOCHREALTIME
"{helper}" "$@"
status=$?
echo "$begin $EPOCHREALTIME" >> "{log}"
exit $status
"""


def drain(bench) -> None:
    """A backlog: the receiver was away, the archiver was off."""
    cluster, mebibytes, plain = bench.cluster, bench.wal, []
    for place in bench.places:
        backstay, pgbackrest = bench.backstay(place), bench.pgbackrest(place)
        backstay.receive_until(cluster.wal_position())
        ours, theirs = [], []
        for number in range(bench.rounds):
            cluster.archive_with("false")
            end = cluster.make_wal(mebibytes)
            plain.append(mebibytes / received_plainly(cluster, end))
            segment = cluster.sql(f"SELECT pg_walfile_name('{end}')")
            ours.append(mebibytes / backstay.receive_until(end))
            cluster.archive_with(" ".join(map(str, pgbackrest.command("archive-push", "%p"))))
            theirs.append(mebibytes / bench.seconds(lambda: cluster.wait_in_sql(pgbackrest.archived(segment))))
            cluster.archive_with("true")
            bench.say_round(number + 1)
        # The figures are speeds: more is better.
        bench.results.speed(f"{mebibytes} MiB of WAL drained, {place.name}", ours, theirs, 1.5, "MiB/s")
        bench.results.because("no core is idle: of the receiver's processor time zstd takes 55 %, reading, copying and writing 17 %, encryption and the content's "
                              "mac 14 %, the records' sums and the map of changes 14 %; beside it runs the server that sends, with S3 the store and TLS on both sides")
    bench.results.shown("the same by pg_receivewal: as it is, not synced", bench.middle(plain), "MiB/s")


def received_plainly(cluster, end: str) -> float:
    """The seconds that a receiver takes which only writes: no compression, encryption, parsing or sync."""
    cluster.sql("SELECT pg_copy_physical_replication_slot('bench', 'plain')")
    target = cluster.home / "plain"
    cluster.run("mkdir", target)
    took = cluster.timed(BIN / "pg_receivewal", "-D", target, "-S", "plain", "-E", end, "--no-sync", "--no-loop")
    cluster.run("rm", "-r", target)
    cluster.sql("SELECT pg_drop_replication_slot('plain')")
    return took.wall


def recovery(bench) -> None:
    """A backup, then WAL, then all of it replayed up to a restore point."""
    cluster = bench.cluster
    for place in bench.places:
        backstay, pgbackrest = bench.backstay(place), bench.pgbackrest(place)
        with backstay.receiver():
            backstay.back_up()
            pgbackrest.back_up()
            with pgbackrest.archiving():
                end = write(bench, bench.replay)
                point = cluster.sql("SELECT pg_create_restore_point('bench')")
                switched = cluster.sql("SELECT pg_switch_wal()")
                cluster.wait_in_sql(backstay.stored_up_to(switched))
                cluster.wait_in_sql(pgbackrest.archived(cluster.sql(f"SELECT pg_walfile_name('{end}')")))
        ours, theirs = [], []
        log = cluster.home / "restore-command.log"
        log.unlink(missing_ok=True)
        helper = backstay.put("timed-helper", TIMED_HELPER.format(helper=backstay.home / "backstay-restore-wal", log=log))
        cluster.run("chmod", "755", helper)
        for number in range(bench.rounds):
            ours.append(bench.until_query(backstay, QUESTION, "--target-latest", helper=helper))
            theirs.append(bench.until_query(pgbackrest, QUESTION, "--type=lsn", f"--target={point}"))
            bench.say_round(number + 1)
        bench.results.faster(f"recovery over {bench.replay} MiB of WAL, {place.name}", ours, theirs, 1.3)
        bench.results.at_most(f"restore_command, {place.name}: 99 %", percentile(durations(log), 99) * 1000, 5, "ms")
        bench.results.because("the segment lies there already when it is asked for (20 us at the median, of the prefetcher's own); the rest is two programs that "
                              "start beside replay, unpacking and syncs on two processors, and the last segment, which is asked for twice and written twice")
        bench.results.shown(f"restore_command, {place.name}: median", percentile(durations(log), 50) * 1000, "ms")


def write(bench, mebibytes: int) -> str:
    """Half by pgbench, half by COPY-like inserts, as databases that are loaded do; returns the position after it."""
    cluster = bench.cluster
    start = cluster.wal_position()
    while int(cluster.sql(f"SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '{start}')::bigint")) < mebibytes * 2**19:
        cluster.run(bench.bin / "pgbench", "-n", "-c", 4, "-j", 2, "-t", 2500)
    return cluster.make_wal(mebibytes // 2)


def durations(log: Path) -> list:
    return [float(end) - float(begin) for begin, end in (line.split() for line in log.read_text().splitlines())]
