"""The rows of the benchmark, in the order in which they run; each function takes the Bench and adds what it measured."""
from bench.rows import api, chains, commits, databases, fulls, incrementals, memory, preflight, small, wal

ROWS = {
    "full": fulls.backups,
    "restore": fulls.restores,
    "small": small.small_cluster,
    "incremental": incrementals.incrementals,
    "chain": chains.restore_after_many,
    "memory": memory.peaks,
    "many-files": memory.many_files,
    "commit": commits.commit_to_restorable,
    "drain": wal.drain,
    "preflight": preflight.preflight,
    "recovery": wal.recovery,
    "load": databases.under_load,
    "api": api.latencies,
    "scale": api.scale,
}
# Known well, and long: only by --only.
ON_DEMAND = ("scale",)
