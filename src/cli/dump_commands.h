// `backstay repository dump`: a logical backup as SQL, from its store and the recovery key alone.
#pragma once

namespace CLI {
class App;
}

namespace backstay::cli {

void add_dump_command(CLI::App& group);

}  // namespace backstay::cli
