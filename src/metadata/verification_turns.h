// Whose turn it is to have a backup verified.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "metadata/database.h"

namespace backstay::metadata {

class VerificationTurns {
 public:
  explicit VerificationTurns(Transaction& tx) : tx_(tx) {}
  /// Services that the server drives and whose turn has come, those that wait for longest first.
  std::vector<std::string> due(std::int64_t server, core::Timestamp now, std::size_t limit);
  /// Nothing: not until it is set again.
  void set(const std::string& service_id, std::optional<core::Timestamp> next);
  /// Not later than that; one that waits for longer already keeps its place.
  void hurry(const std::string& service_id, core::Timestamp latest);

 private:
  Transaction& tx_;
};

}  // namespace backstay::metadata
