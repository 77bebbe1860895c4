// `repository`: what is in a repository, whether it is whole, and how to get it back, from the store and the recovery
// key alone.
#pragma once

namespace CLI {
class App;
}

namespace backstay::cli {

/// Adds `repository init`, `list`, `verify`, `restore`, `prune` and `delete-backup`.
void add_repository_commands(CLI::App& program);

}  // namespace backstay::cli
