// Webhooks and their deliveries in the state store; secrets are sealed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "metadata/database.h"
#include "model/webhook.h"

namespace backstay::metadata {

class Webhooks {
 public:
  explicit Webhooks(Transaction& tx) : tx_(tx) {}
  void insert(const model::Webhook& webhook);
  /// All but id, team, secret and creation.
  void update(const model::Webhook& webhook);
  std::optional<model::Webhook> find(const std::string& id);
  /// By creation. Nothing: of every team.
  std::vector<model::Webhook> list(const std::optional<std::vector<std::int64_t>>& team_ids = {});
  /// With its deliveries.
  void remove(const std::string& id);

 private:
  Transaction& tx_;
};

class Deliveries {
 public:
  explicit Deliveries(Transaction& tx) : tx_(tx) {}
  void insert(const model::Delivery& delivery);
  /// State, attempts and what was seen.
  void update(const model::Delivery& delivery);
  std::optional<model::Delivery> find(const std::string& id);
  /// Newest first; before_sequence 0: from the end; limit 0: all.
  std::vector<model::Delivery> list(const std::string& webhook_id, std::int64_t before_sequence, std::size_t limit);
  /// Pending ones of this webhook that are due, in the order of their events.
  std::vector<model::Delivery> due(const std::string& webhook_id, core::Timestamp now, std::size_t limit);
  /// Webhooks that are enabled and have one that is due, longest due first.
  std::vector<std::string> webhooks_due(core::Timestamp now);
  /// Pending ones of this webhook that are due earlier are due then.
  void put_off(const std::string& webhook_id, core::Timestamp until);
  /// Pending ones of this webhook have failed, for this reason.
  void give_up(const std::string& webhook_id, core::Timestamp now, const std::string& reason);
  /// True if one of that name is pending.
  bool is_pending(const std::string& webhook_id, const std::string& event_name);
  /// Removes those that came to their end before.
  std::size_t prune(core::Timestamp older_than);

 private:
  Transaction& tx_;
};

}  // namespace backstay::metadata
