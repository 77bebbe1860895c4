// Destinations in the state store.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "metadata/database.h"
#include "model/destination.h"

namespace backstay::metadata {

/// What refers to a destination.
struct DestinationUser {
  std::string kind{};  ///< "service", "schedule", "backup" or "instance"
  std::string id{};
  /// What people know it by.
  std::string name{};
};

class Destinations {
 public:
  explicit Destinations(Transaction& tx) : tx_(tx) {}
  void insert(const model::Destination& destination);
  std::optional<model::Destination> find(const std::string& id);
  /// Throws Error(not_found).
  model::Destination require(const std::string& id);
  /// The team's own destination with this url and endpoint, if any: the same place is not entered twice. One
  /// that was declared lost is no place any more.
  std::optional<model::Destination> find_place(std::int64_t team_id, const std::string& url,
                                               const std::string& endpoint_url);
  /// The team's own and the operator's (team 0); nothing for every team. By creation.
  std::vector<model::Destination> list(std::optional<std::int64_t> team_id);
  /// The default for the team: its own, else the operator's.
  std::optional<model::Destination> find_default(std::int64_t team_id);
  /// Writes all but id, team and creation. A default takes that role from the one before.
  void update(const model::Destination& destination);
  /// The repository that was made there or first opened; nothing if there was none yet.
  std::optional<std::string> repository_id(const std::string& id);
  /// Keeps the first that is given for a destination. Nothing happens if the destination is gone.
  void remember_repository(const std::string& id, const std::string& repository_id);
  /// It may become another place, with another repository.
  void forget_repository(const std::string& id);
  /// A few of those that refer to it, those that people know first.
  std::vector<DestinationUser> users(const std::string& id);
  /// The id of something that refers to it, if anything does.
  std::optional<std::string> find_user(const std::string& id);
  /// Throws Error(conflict) while a service or a backup refers to it.
  void remove(const std::string& id);

 private:
  Transaction& tx_;
};

}  // namespace backstay::metadata
