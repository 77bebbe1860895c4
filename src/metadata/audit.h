// The audit log in the state store.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "metadata/database.h"
#include "model/audit.h"

namespace backstay::metadata {

/// Empty fields match everything.
struct AuditFilter {
  std::string token_id{};
  std::string operation{};
  std::string object_id{};
  /// Only refusals and failures.
  bool refused_only = false;
  std::optional<core::Timestamp> since{};
  /// Only before this time.
  std::optional<core::Timestamp> until{};
  /// Only entries with a smaller sequence; 0: all.
  std::int64_t before_sequence = 0;
  /// 0: all.
  std::size_t limit = 100;
};

class Audit {
 public:
  explicit Audit(Transaction& tx) : tx_(tx) {}
  void append(const model::AuditEntry& entry);
  /// Newest first.
  std::vector<model::AuditEntry> list(const AuditFilter& filter);
  /// Removes entries older than `older_than`.
  std::size_t prune(core::Timestamp older_than);

 private:
  Transaction& tx_;
};

}  // namespace backstay::metadata
