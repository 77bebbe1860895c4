// The ids by which a platform that uses Backstay as its backend knows services and backups.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/time.h"
#include "metadata/database.h"

namespace backstay::metadata {

struct ExternalId {
  /// "service" or "backup".
  std::string kind{};
  /// The team here that the object belongs to.
  std::int64_t team_id = 0;
  /// Unique for kind and team.
  std::string external_id{};
  /// The service or backup here. It may not be there yet, or not any more.
  std::string object_id{};
  /// The team that the platform named; its own affair.
  std::int64_t caller_team_id = 0;
  core::Timestamp created_at{};
};

class ExternalIds {
 public:
  explicit ExternalIds(Transaction& tx) : tx_(tx) {}
  /// Throws Error(already_exists).
  void insert(const ExternalId& id);
  std::optional<ExternalId> find(const std::string& kind, std::int64_t team_id, const std::string& external_id);
  /// By creation.
  std::vector<ExternalId> list(const std::string& kind, std::int64_t team_id);
  void remove(const std::string& kind, std::int64_t team_id, const std::string& external_id);

 private:
  Transaction& tx_;
};

}  // namespace backstay::metadata
