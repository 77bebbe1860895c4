// Whether a server writes on from where its archive ends. No I/O.
#pragma once

#include <optional>
#include <string>

#include "postgres/lsn.h"

namespace backstay::backup {

/// What lies in the archive: seen before the server is asked.
struct ArchivedBranch {
  postgres::TimelineId timeline = {};
  postgres::Lsn end = {};
  /// The history file of the server's timeline, if it is stored.
  std::optional<std::string> server_history = {};
};

struct ServerBranch {
  postgres::TimelineId timeline = {};
  postgres::Lsn flushed = {};
  /// The history file of its timeline; empty on the first.
  std::string history = {};
};

/// In words, how the two have parted; nothing if the server follows upon its archive.
std::optional<std::string> divergence(const ArchivedBranch& archive, const ServerBranch& server);

}  // namespace backstay::backup
