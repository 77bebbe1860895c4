// Runs queued operations, step by step, so that a kill at any instruction loses no work that was recorded.
//
// Before a step runs, its name is in the store; a process that starts later continues with that step.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "control/event_log.h"
#include "control/operation_kind.h"
#include "control/operation_queue.h"
#include "core/metrics.h"
#include "core/mutex.h"
#include "core/time.h"
#include "metadata/database.h"

namespace backstay::control {

/// What the runner needs; all outlive it.
struct RunnerDependencies {
  metadata::Database& database;
  OperationQueue& queue;
  EventLog& events;
  core::Clock& clock;
  core::Metrics& metrics;
};

/// Thread-safe: any number of workers call run_one.
class OperationRunner {
 public:
  /// `server` is the epoch of this run of the server.
  OperationRunner(RunnerDependencies dependencies, OperationKinds operation_kinds, std::int64_t server);

  /// Claims one operation (of the kinds `only` and of the lane, if given) and runs it to its end, to its next retry or
  /// until `stop`. False if none was due.
  bool run_one(std::stop_token stop, const std::vector<std::string>& only = {}, const std::string& lane = {});
  /// Every kind that it knows, without these.
  [[nodiscard]] std::vector<std::string> kinds_but(const std::vector<std::string>& left_out) const;
  /// Extends the leases of what runs, and gives back what could not be ended.
  void heartbeat();

 private:
  class Run;
  void run(model::Operation operation, std::stop_token stop);
  void requeue_unsettled();
  bool is_ours(const model::Operation& operation);
  void settle(Run& run, const OperationKind* kind, const core::Error& error, bool stopping);
  void finish(Run& run, model::OperationState state, const core::Error* error, const OperationKind* kind);

  RunnerDependencies deps_;
  OperationKinds kinds_;
  const std::int64_t server_;
  const std::string owner_;
  core::Gauge running_gauge_;
  core::Mutex mutex_;
  std::vector<std::string> running_ GUARDED_BY(mutex_);
  /// Ended, but the state did not take it.
  std::vector<std::string> unsettled_ GUARDED_BY(mutex_);
};

/// What the store and the API show of an error: code, message, hint, nextStep, failures.
core::json::object error_to_json(const core::Error& error, std::int64_t failures);

}  // namespace backstay::control
