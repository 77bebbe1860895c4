"""Full backups and restores of the large dataset, at each place."""
from bench.contenders import Backstay, PgBackRest, PgBaseBackup, zstd_alone

QUESTION = "SELECT count(*) FROM pgbench_branches"


def backups(bench) -> None:
    cluster, size = bench.cluster, bench.cluster.size()
    contenders = [(bench.backstay(place), bench.pgbackrest(place), place) for place in bench.places]
    basebackup = PgBaseBackup(cluster)
    ours = {place.name: [] for place in bench.places}
    theirs = {place.name: [] for place in bench.places}
    confirms = {place.name: [] for place in bench.places}
    receiving = {place.name: [] for place in bench.places}
    yard, plain = [], []
    for number in range(bench.rounds + 1):
        measured = number > 0  # the first one warms the cache
        for backstay, pgbackrest, place in contenders:
            before = place.cpu_seconds()
            run = backstay.back_up()
            received = place.cpu_seconds() - before
            peer = pgbackrest.back_up()
            if measured:
                receiving[place.name].append(received)
                ours[place.name].append(run)
                theirs[place.name].append(peer)
                confirms[place.name].append(backstay.confirm())
        if measured:
            yard.append(zstd_alone(cluster))
            plain.append(basebackup.back_up())
            bench.say_round(number)
    for backstay, pgbackrest, place in contenders:
        runs, peers = ours[place.name], theirs[place.name]
        bench.results.faster(f"full backup, {place.name}", [t.wall for t in runs], [t.wall for t in peers], 1.5)
        bench.results.share(f"full backup, {place.name}: cpu", bench.middle(t.cpu for t in runs), bench.middle(t.cpu for t in peers), 0.9, "cpu-s")
        share = bench.middle(t.wall for t in yard) / bench.middle(t.wall for t in runs) * 100
        bench.results.at_least(f"full backup, {place.name}: of zstd -1 -T2's throughput", share, 90, "%")
        store = bench.middle(receiving[place.name])
        bench.results.because(f"of the {bench.middle(t.wall for t in runs):.2f} s on two processors the engine took {bench.middle(t.cpu for t in runs):.2f} cpu-s, "
                              f"the store, which runs on the same two, {store:.2f}, zstd with tar alone {bench.middle(t.cpu for t in yard):.2f}")
        if store:
            bench.results.shown(f"full backup, {place.name}: the store's own cpu", store, "cpu-s")
        bench.results.shown(f"full backup, {place.name}: until confirmed", bench.middle(a.wall + b.wall for a, b in zip(runs, confirms[place.name])), "s")
        bench.results.shown(f"full backup, {place.name}: stored", backstay.stored_bytes() / 2**20, "MiB", pgbackrest.stored_bytes() / 2**20)
    bench.results.shown("zstd -1 -T2 over the same bytes", bench.middle(t.wall for t in yard), "s")
    bench.results.shown("pg_basebackup with zstd in the server", bench.middle(t.wall for t in plain), "s")
    bench.results.shown("size of the dataset", size / 2**20, "MiB")


def restores(bench) -> None:
    for place in bench.places:
        backstay, pgbackrest = bench.backstay(place), bench.pgbackrest(place)
        bench.require_full(backstay, pgbackrest)
        ours, theirs, files, peer_files = [], [], [], []
        for number in range(bench.rounds):
            ours.append(bench.until_query(backstay, QUESTION))
            theirs.append(bench.until_query(pgbackrest, QUESTION))
            files.append(backstay.restore("restored").wall)
            bench.remove(backstay.cluster.home / "restored")
            peer_files.append(pgbackrest.restore("restored").wall)
            bench.remove(backstay.cluster.home / "restored")
            bench.say_round(number + 1)
        bench.results.faster(f"restore to first query, {place.name}", ours, theirs, 1.4)
        bench.results.shown(f"restore of the files alone, {place.name}", bench.middle(files), "s", bench.middle(peer_files))
