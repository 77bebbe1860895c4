// `pg`: backup, WAL and recovery of a PostgreSQL on this machine, without a server of ours.
#pragma once

namespace CLI {
class App;
}

namespace backstay::cli {

/// Adds `pg backup`, `pg receive-wal` and `pg recover`.
void add_pg_commands(CLI::App& program);

}  // namespace backstay::cli
