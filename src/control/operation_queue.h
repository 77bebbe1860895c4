// The queue of operations, as commands and the reconciler fill it: durable in the state store, with a bell for workers.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "control/operation_feed.h"
#include "core/mutex.h"
#include "core/random.h"
#include "core/time.h"
#include "metadata/database.h"
#include "model/operation.h"
#include "model/service.h"

namespace backstay::control {

/// The kinds of operations.
namespace kinds {
inline constexpr std::string_view kCreate = "create_service";
inline constexpr std::string_view kRecover = "recover_service";
inline constexpr std::string_view kUpdate = "update_service";
inline constexpr std::string_view kDelete = "delete_service";
inline constexpr std::string_view kBackup = "backup";
}  // namespace kinds

/// Thread-safe.
class OperationQueue {
 public:
  OperationQueue(core::Clock& clock, core::Random& random, OperationFeed& feed)
      : clock_(clock), random_(random), feed_(feed) {}

  /// Puts the work into the queue within the caller's transaction; ring() after its commit. One operation of a service
  /// runs at a time.
  model::Operation enqueue(metadata::Transaction& tx, std::string_view kind, const model::Service& service,
                           core::json::object request, model::Secrets secrets = {});
  /// Wakes a worker.
  void ring();
  /// Waits until ring() or `at_most` of real time has passed.
  void wait(std::stop_token stop, core::Duration at_most);

  [[nodiscard]] OperationFeed& feed() { return feed_; }

  /// The worker that runs an operation now listens here for its cancellation.
  void on_cancel(const std::string& operation_id, std::function<void()> callback);
  void forget(const std::string& operation_id);
  /// Tells the worker that runs it, if one does.
  void cancel(const std::string& operation_id);

 private:
  core::Clock& clock_;
  core::Random& random_;
  OperationFeed& feed_;
  core::Mutex mutex_;
  core::Condition rung_;
  std::uint64_t rings_ GUARDED_BY(mutex_) = 0;
  std::map<std::string, std::function<void()>> cancels_ GUARDED_BY(mutex_);
};

}  // namespace backstay::control
