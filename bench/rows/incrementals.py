"""Incremental backups after nothing, 1 % of pages at random, and 1 % of adjacent rows changed."""
import subprocess
from pathlib import Path

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
        backstay.back_up()  # warms the cache
        full = median([backstay.back_up().wall for _ in range(bench.rounds)])
        pgbackrest.back_up()
        for name, change in cases.items():
            one_case(bench, backstay, pgbackrest, name, change, full)


def one_case(bench, backstay, pgbackrest, name: str, change, full_wall: float) -> None:
    backstay.back_up_incrementally()
    idle = backstay.report["seconds"], int(backstay.report["readBytes"])  # what an incremental takes with nothing changed
    walls, cpus, stored, read, peer_walls, peer_stored, changed, packed = [], [], [], [], [], [], [], []
    for number in range(bench.rounds):
        before = bench.cluster.wal_position()
        change(number)
        pages = pages_changed(bench.cluster, before) if name != "nothing" else []
        changed.append(len(pages) * PAGE)
        run = backstay.back_up_incrementally()
        peer = pgbackrest.back_up_incrementally()
        walls.append(run.wall)
        cpus.append(run.cpu)
        stored.append(backstay.stored_bytes())
        read.append(int(backstay.report["readBytes"]))
        peer_walls.append(peer.wall)
        peer_stored.append(pgbackrest.stored_bytes())
        packed.append(compressed_size(bench.cluster, pages))
        bench.say_round(number + 1)
    results, title = bench.results, f"incremental after {name}"
    if name == "nothing":
        results.at_most(title, median(walls), 1, "s", median(peer_walls))
        results.at_most(f"{title}: stored", median(stored) / 2**20, 1, "MiB", median(peer_stored) / 2**20)
    elif "random" in name:
        results.share(f"{title}: wall, of a full's", median(walls), full_wall, 0.25, "s")
        results.because(f"{idle[0]:.2f} s of it an incremental takes with nothing changed: checkpoint, sessions, WAL up to the stop stored")
        results.at_most(f"{title}: stored, beside changed pages compressed", median(stored) / 2**20, 1.1 * median(packed) / 2**20, "MiB",
                        median(peer_stored) / 2**20)
        results.at_most(f"{title}: read of the database", median(read) / 2**20, 1.5 * median(changed) / 2**20, "MiB")
        results.because(f"{idle[1] / 2**20:.1f} MiB of it are always read: free space and visibility maps, and what is no relation")
        results.shown(f"{title}: changed pages", median(changed) / 2**20, "MiB")
    else:
        results.share(f"{title}: stored", median(stored) / 2**20, median(peer_stored) / 2**20, 1.0, "MiB")
        results.faster(title, walls, peer_walls, 3)
    results.shown(f"{title}: cpu", median(cpus), "cpu-s")


def heap_pages(cluster) -> int:
    return int(cluster.sql("SELECT relpages FROM pg_class WHERE relname = 'mixed'"))


def pages_changed(cluster, since: str) -> list:
    """The different pages that the WAL since then refers to, as PostgreSQL's own tool reads it: (database, relation, block)."""
    cluster.sql("CREATE EXTENSION IF NOT EXISTS pg_walinspect")
    text = cluster.sql(
        "SELECT DISTINCT block[1] || ' ' || block[2] || ' ' || block[3] FROM pg_get_wal_records_info("
        f"'{since}', pg_current_wal_lsn()), regexp_matches(block_ref, 'rel 1663/(\\d+)/(\\d+) fork main blk (\\d+)', 'g') AS block")
    return sorted(tuple(map(int, line.split())) for line in text.splitlines())


def compressed_size(cluster, pages: list) -> int:
    """Of these pages in one stream, as they lie on the disk after a checkpoint."""
    compressor = subprocess.Popen(["zstd", "-q", "-1", "-c"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    content = b"".join(read_page(cluster.data / f"base/{database}/{relation}", block) for database, relation, block in pages)
    return len(compressor.communicate(content)[0])


def read_page(path: Path, block: int) -> bytes:
    segment, within = divmod(block, 2**30 // PAGE)
    try:
        with open(f"{path}.{segment}" if segment else path, "rb") as file:
            file.seek(within * PAGE)
            return file.read(PAGE)
    except FileNotFoundError:  # dropped meanwhile
        return b""
