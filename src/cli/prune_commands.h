// `repository prune` and `repository delete-backup`: removing what is not wanted any more, and saying why.
#pragma once

namespace CLI {
class App;
}

namespace backstay::cli {

/// Adds them to the group of `repository`.
void add_prune_commands(CLI::App& group);

}  // namespace backstay::cli
