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
  /// The instance is one of another service from now on.
  void move(const std::string& id, const std::string& service_id);
  /// Those of services that the server drives whose data need not be kept any longer.
  std::vector<model::Instance> list_kept_until(core::Timestamp now, std::int64_t server);
  /// Raises the instance's epoch by one and returns it: the caller's lease, larger than any before.
  std::int64_t next_epoch(const std::string& id);

 private:
  Transaction& tx_;
};

/// Where a number is looked for: from `begin` on, and from `first` on after `last`.
struct NumberRange {
  std::int64_t first = 0;
  std::int64_t last = 0;
  std::int64_t begin = first;
};

/// Numbers that only one owner may have at a time on a node: "port", "uid".
class Allocations {
 public:
  explicit Allocations(Transaction& tx) : tx_(tx) {}
  /// The next free number of the range that `usable` accepts; the one that the owner has already, if any.
  /// Throws Error(state_error) if none is left.
  std::int64_t allocate(const std::string& kind, const std::string& node, const std::string& owner,
                        const NumberRange& range, const std::function<bool(std::int64_t)>& usable = {});
  /// The number after the one that was given out last, so that a freed one comes again only when all others of
  /// [first, last] have been used. For an owner that has none yet.
  std::int64_t allocate_in_turn(const std::string& kind, const std::string& node, const std::string& owner,
                                std::int64_t first, std::int64_t last,
                                const std::function<bool(std::int64_t)>& usable = {});
  /// Each of the two owners gets the other's number of one kind.
  void exchange(const std::string& kind, const std::string& one, const std::string& other);
  /// Frees the owner's number of one kind.
  void release(const std::string& kind, const std::string& owner);
  /// Frees every number of the owner.
  void release_all(const std::string& owner);

 private:
  Transaction& tx_;
};

}  // namespace backstay::metadata
