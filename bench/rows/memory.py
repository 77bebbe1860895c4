"""Peak memory: of a backup and a restore of the large dataset, and of a cluster with a synthetic tree of many files."""
import subprocess

from bench.contenders import Backstay, PgBackRest

LIMIT = 128
TREE, WHOLE_SIZE = 1_000_000, 3072


def peaks(bench) -> None:
    for place in bench.places:
        compare(bench, bench.backstay(place), bench.pgbackrest(place), f"{bench.size} MiB, {place.name}")


def many_files(bench) -> None:
    count = max(1000, TREE * min(bench.size, WHOLE_SIZE) // WHOLE_SIZE)
    with bench.other_cluster("many") as cluster:
        add_files(cluster, count)
        compare(bench, Backstay(cluster, bench.program), PgBackRest(cluster) if bench.long else None, f"{count} files")


def compare(bench, backstay, pgbackrest, title: str) -> None:
    ours, theirs = [backstay.back_up(), backstay.restore("restored")], []
    bench.remove(backstay.cluster.home / "restored")
    if pgbackrest:
        theirs = [pgbackrest.back_up(), pgbackrest.restore("restored")]
        bench.remove(pgbackrest.cluster.home / "restored")
    for number, what in enumerate(("backup", "restore")):
        peer = theirs[number].peak / 2**20 if theirs else None
        bench.results.at_most(f"peak memory, {what} of {title}", ours[number].peak / 2**20, LIMIT, "MiB", peer)
        bench.results.shown(f"{what} of {title}", ours[number].wall, "s", theirs[number].wall if theirs else None)


def add_files(cluster, count: int) -> None:
    """In directories of a thousand, below the data directory."""
    for number in range(count):
        directory = cluster.data / f"many/{number // 1000:04}"
        if number % 1000 == 0:
            directory.mkdir(parents=True)
        with open(f"{directory}/{number:07}", "wb", buffering=0) as file:
            file.write(b"%d" % number)
    if cluster.as_user:
        subprocess.run(["chown", "-R", "postgres:postgres", cluster.data / "many"], check=True)
