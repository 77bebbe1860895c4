// The durable queue of operations.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "metadata/database.h"
#include "model/operation.h"

namespace backstay::metadata {

struct OperationFilter {
  std::string service_id{};
  std::optional<std::vector<std::int64_t>> team_ids{};
  std::optional<model::OperationState> state{};
  /// Queued or running only.
  bool open_only = false;
  std::string kind{};
  std::string after_id{};
  std::size_t limit = 0;
};

struct ClaimRequest {
  /// The server that asks: it gets operations of services that it drives, or that nobody drives and it may take.
  std::int64_t server = 0;
  core::Timestamp now{};
  core::Duration lease{};
  /// Empty: any kind.
  std::vector<std::string> kinds{};
  /// Empty: any lane.
  std::string lane{};
};

/// Every change of a terminal operation throws Error(conflict). Changes by a worker name the lease's owner, and throw
/// Error(conflict) if the lease is another's by now: the worker must stop.
class Operations {
 public:
  explicit Operations(Transaction& tx) : tx_(tx) {}
  void enqueue(const model::Operation& operation);
  std::optional<model::Operation> find(const std::string& id);
  /// Throws Error(not_found).
  model::Operation require(const std::string& id);
  /// Newest first.
  std::vector<model::Operation> list(const OperationFilter& filter);

  /// Takes the oldest operation that is due, or whose lease has run out, and whose lane is free: makes it running with
  /// one more attempt, its lease owned by lease_owner(server). Nothing if there is none, or if the server is retired.
  std::optional<model::Operation> claim(const ClaimRequest& request);
  /// Extends the lease; true if the operation should be cancelled.
  bool heartbeat(const std::string& id, const std::string& owner, core::Timestamp lease_until);
  void update_progress(const std::string& id, const std::string& owner, const std::string& step,
                       std::int64_t step_number, std::int64_t steps, const core::json::object& progress);
  /// `state` is terminal. Wipes the operation's secrets.
  void finish(const std::string& id, const std::string& owner, model::OperationState state,
              const core::json::object& result, const core::json::object& error, core::Timestamp now);
  /// Back into the queue, to be claimed again from `not_before` on; the error stays visible meanwhile.
  void requeue(const std::string& id, const std::string& owner, core::Timestamp not_before,
               const core::json::object& error);
  /// What an open operation is asked for, from its next look at it on; a queued one is due now.
  void change_request(const std::string& id, const core::json::object& request, core::Timestamp now);
  /// A queued operation is cancelled at once, a running one is asked to stop. Returns its state after that.
  model::OperationState request_cancel(const std::string& id, core::Timestamp now);
  /// Whether the operation runs for this owner.
  [[nodiscard]] bool is_leased(const std::string& id, const std::string& owner);
  /// Those of the owner's running operations that should be cancelled.
  std::vector<std::string> list_to_cancel(const std::string& owner);
  /// Every operation that runs for an owner that is no more goes back into the queue, due now.
  std::size_t requeue_abandoned(const std::string& owner, core::Timestamp now);
  /// Removes terminal operations that finished before.
  std::size_t prune(core::Timestamp finished_before);

 private:
  Transaction& tx_;
};

}  // namespace backstay::metadata
