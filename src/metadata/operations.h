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
  /// Unique for this run of the process.
  std::string owner{};
  core::Timestamp now{};
  core::Duration lease{};
  /// Empty: any kind.
  std::vector<std::string> kinds{};
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
  /// one more attempt. Nothing if there is none.
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
  /// A queued operation is cancelled at once, a running one is asked to stop. Returns its state after that.
  model::OperationState request_cancel(const std::string& id, core::Timestamp now);
  /// At start, when no other process works on this state: every running operation goes back into the queue, due now.
  std::size_t requeue_abandoned(core::Timestamp now);
  /// Removes terminal operations that finished before.
  std::size_t prune(core::Timestamp finished_before);

 private:
  Transaction& tx_;
};

}  // namespace backstay::metadata
