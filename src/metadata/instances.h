// Instances, and the ports and users that they are given.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "metadata/database.h"
#include "model/instance.h"

namespace backstay::metadata {

class Instances {
 public:
  explicit Instances(Transaction& tx) : tx_(tx) {}
  void insert(const model::Instance& instance);
  std::optional<model::Instance> find(const std::string& id);
  /// Throws Error(not_found).
  model::Instance require(const std::string& id);
  /// Oldest first.
  std::vector<model::Instance> list_of_service(const std::string& service_id);
  /// Every one whose data may be there: all but kRemoved.
  std::vector<model::Instance> list_living(const std::string& node);
  /// Writes everything but id, service, creation and epoch. Throws Error(conflict) for one that is kRemoved.
  void update(const model::Instance& instance);
  /// Raises the instance's epoch by one and returns it: the caller's lease, larger than any before.
  std::int64_t next_epoch(const std::string& id);

 private:
  Transaction& tx_;
};

/// Numbers that only one owner may have at a time on a node: "port", "uid".
class Allocations {
 public:
  explicit Allocations(Transaction& tx) : tx_(tx) {}
  /// The lowest free number in [first, last] that `usable` accepts; the one that the owner has already, if any.
  /// Throws Error(state_error) if none is left.
  std::int64_t allocate(const std::string& kind, const std::string& node, const std::string& owner, std::int64_t first,
                        std::int64_t last, const std::function<bool(std::int64_t)>& usable = {});
  /// Frees every number of the owner.
  void release(const std::string& owner);

 private:
  Transaction& tx_;
};

}  // namespace backstay::metadata
