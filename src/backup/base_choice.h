// Which earlier backup a new one takes unchanged pages from.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "core/time.h"
#include "repository/repository.h"

namespace backstay::backup {

/// How long backups may be taken one upon the other before all of the data is read and stored anew, which bounds how
/// old the oldest bytes in the store are, and how many packs a restore needs.
struct BaseRules {
  std::uint32_t most_incrementals = 100;
  core::Duration oldest_full = std::chrono::days(30);
};

struct BaseChoice {
  std::optional<repository::BackupRecord> base = {};
  /// Why there is none, for people.
  std::string reason = {};
};

/// The newest stored physical backup of the same instance and cluster, if nothing was found against it or any that was
/// taken upon the same full one: what is damaged in one may be in the others, and must not live on. `wanted` is the
/// new backup's record, its start known; `checksums` says whether the cluster's pages carry them. To be called with the
/// mark of the new backup in place (docs/format/repository.md, "Removing"). Condemned backups are in no list.
BaseChoice choose_base(const repository::Repository& repository, const repository::BackupRecord& wanted, bool checksums,
                       const BaseRules& rules);

}  // namespace backstay::backup
