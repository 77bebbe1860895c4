// Whose turn it is to have old backups removed, and garbage looked for.
#pragma once

#include <string>
#include <vector>

#include "metadata/database.h"

namespace backstay::metadata {

class RetentionTurns {
 public:
  explicit RetentionTurns(Transaction& tx) : tx_(tx) {}
  /// Services that the server drives and whose turn has come, those that wait for longest first.
  std::vector<std::string> services(std::int64_t server, core::Timestamp now, std::size_t limit);
  void set_service(const std::string& id, core::Timestamp next);
  /// A turn that has come already stays: somebody hurried it.
  void put_off_service(const std::string& id, core::Timestamp now, core::Timestamp next);
  /// Destinations with a repository whose turn has come, or that never had one.
  std::vector<std::string> destinations(core::Timestamp now, std::size_t limit);
  [[nodiscard]] bool destination_had_turn(const std::string& id);
  void set_destination(const std::string& id, core::Timestamp next);

 private:
  Transaction& tx_;
};

}  // namespace backstay::metadata
