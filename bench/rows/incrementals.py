"""Incremental backups after nothing, 1 % of pages at random, and 1 % of adjacent rows changed."""
from bench.measure import median

PAGE = 8192
# One row on each hundredth page: an update in place would need room on it, so some rows move to other pages.
RANDOM_PAGES = "UPDATE mixed SET amount = amount + 1 WHERE ctid IN (SELECT format('(%s,1)', floor(random() * {pages}))::tid FROM generate_series(1, {wanted}))"
ADJACENT_ROWS = "UPDATE mixed SET amount = amount + 1 WHERE id BETWEEN {first} AND {last}"


def incrementals(bench) -> None:
    cluster, place = bench.cluster, bench.places[0]
    backstay, pgbackrest = bench.backstay(place), bench.pgbackrest(place, block=True)
    rows = int(cluster.sql("SELECT max(id) FROM mixed"))
    cases = {"nothing": lambda _: None,
             "1 % random pages": lambda _: cluster.sql(RANDOM_PAGES.format(pages=heap_pages(cluster), wanted=heap_pages(cluster) // 100)),
             "1 % adjacent rows": lambda n: cluster.sql(ADJACENT_ROWS.format(first=rows // 10 * (n + 1), last=rows // 10 * (n + 1) + rows // 100))}
    with backstay.receiver():
        full = backstay.back_up()
        pgbackrest.back_up()
        for name, change in cases.items():
            one_case(bench, backstay, pgbackrest, name, change, full.wall)


def one_case(bench, backstay, pgbackrest, name: str, change, full_wall: float) -> None:
    walls, cpus, stored, read, peer_walls, peer_stored, changed = [], [], [], [], [], [], []
    for number in range(bench.rounds):
        before = bench.cluster.wal_position()
        change(number)
        changed.append(pages_changed(bench.cluster, before) if name != "nothing" else 0)
        run = backstay.back_up_incrementally()
        peer = pgbackrest.back_up_incrementally()
        walls.append(run.wall)
        cpus.append(run.cpu)
        stored.append(backstay.stored_bytes())
        read.append(int(backstay.report["readBytes"]))
        peer_walls.append(peer.wall)
        peer_stored.append(pgbackrest.stored_bytes())
        bench.say_round(number + 1)
    results, title = bench.results, f"incremental after {name}"
    pages = median(changed) * PAGE
    ratio = max(1.0, bench.compression_ratio())
    if name == "nothing":
        results.at_most(title, median(walls), 1, "s", median(peer_walls))
        results.at_most(f"{title}: stored", median(stored) / 2**20, 1, "MiB", median(peer_stored) / 2**20)
    elif "random" in name:
        results.share(f"{title}: wall, of a full's", median(walls), full_wall, 0.25, "s")
        results.at_most(f"{title}: stored, beside changed pages compressed", median(stored) / 2**20, 1.1 * pages / ratio / 2**20, "MiB",
                        median(peer_stored) / 2**20)
        results.at_most(f"{title}: read of the database", median(read) / 2**20, 1.5 * pages / 2**20, "MiB")
        results.shown(f"{title}: changed pages", pages / 2**20, "MiB")
    else:
        results.share(f"{title}: stored", median(stored) / 2**20, median(peer_stored) / 2**20, 1.0, "MiB")
        results.faster(title, walls, peer_walls, 3)
    results.shown(f"{title}: cpu", median(cpus), "cpu-s")


def heap_pages(cluster) -> int:
    return int(cluster.sql("SELECT relpages FROM pg_class WHERE relname = 'mixed'"))


def pages_changed(cluster, since: str) -> int:
    """Different pages that the WAL since then refers to, as PostgreSQL's own tool reads it."""
    cluster.sql("CREATE EXTENSION IF NOT EXISTS pg_walinspect")
    return int(cluster.sql(
        "SELECT count(DISTINCT block) FROM pg_get_wal_records_info("
        f"'{since}', pg_current_wal_lsn()), regexp_matches(block_ref, 'rel (\\d+/\\d+/\\d+) fork main blk (\\d+)', 'g') AS block"))
