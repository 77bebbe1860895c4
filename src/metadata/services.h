// Services in the state store.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "metadata/database.h"
#include "model/service.h"

namespace backstay::metadata {

struct ServiceFilter {
  /// Nothing: every team.
  std::optional<std::vector<std::int64_t>> team_ids{};
  bool include_deleted = false;
  /// Exact name; empty for any.
  std::string name{};
  /// Services after this one in the list's order; empty for the beginning.
  std::string after_id{};
  /// 0 for all.
  std::size_t limit = 0;
};

/// Services that changed, by id.
struct Changes {
  std::vector<std::string> ids{};
  std::int64_t until = 0;
};

class Services {
 public:
  explicit Services(Transaction& tx) : tx_(tx) {}
  /// Throws Error(already_exists) for an id that exists or a name that a living service of the team has.
  void insert(const model::Service& service);
  std::optional<model::Service> find(const std::string& id);
  /// Throws Error(not_found).
  model::Service require(const std::string& id);
  /// By creation, then id. "Deleted" are those whose deletion was asked for, too.
  std::vector<model::Service> list(const ServiceFilter& filter);
  /// The ids of all that the reconciler must look at: everything but deleted ones.
  std::vector<std::string> list_living_ids();
  /// Those whose first data came from this one, or from a backup of it.
  std::vector<model::Service> list_recovered_from(const std::string& id);
  /// The candidates of the service, those that ended included, oldest first.
  std::vector<model::Service> list_candidates(const std::string& id);
  /// What changed since among the services that the server drives (see servers.h), and those that it came to drive.
  /// `since` is 0 for all of them, else the `until` of the call before.
  Changes list_changes(std::int64_t server, std::int64_t since);
  /// How many services there are of each state.
  std::map<std::string, std::int64_t> count_states();
  /// Writes everything that the owner decides (name, plan, config, secrets, backups, pause, deletion) and updated_at,
  /// with the generation given; leaves the status alone.
  void update_desired(const model::Service& service);
  /// Writes the status and updated_at only. Throws Error(conflict) if the service is deleted (its owner's wish says so
  /// too) and the state is another.
  void update_status(const std::string& id, const model::ServiceStatus& status, core::Timestamp now);
  /// Removes the record and what hangs on it (instances, backups, allocations); events and operations stay.
  void remove(const std::string& id);

 private:
  Transaction& tx_;
};

}  // namespace backstay::metadata
