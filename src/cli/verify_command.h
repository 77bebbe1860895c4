// `repository verify`: reading back from the store what is there, all of it or a part, and saying what is wrong.
#pragma once

namespace CLI {
class App;
}

namespace backstay::cli {

/// Adds it to the group of `repository`.
void add_verify_command(CLI::App& group);

}  // namespace backstay::cli
