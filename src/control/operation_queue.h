// The queue of operations, as commands and the reconciler fill it: durable in the state store, with a bell for workers.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "control/operation_feed.h"
#include "core/mutex.h"
#include "core/random.h"
#include "core/time.h"
#include "metadata/database.h"
#include "model/operation.h"
#include "model/secrets.h"

namespace backstay::control {

/// The kinds of operations.
namespace kinds {
inline constexpr std::string_view kCreate = "create_service";
inline constexpr std::string_view kRecover = "recover_service";
inline constexpr std::string_view kUpdate = "update_service";
inline constexpr std::string_view kUndelete = "undelete_service";
inline constexpr std::string_view kDelete = "delete_service";
inline constexpr std::string_view kBackup = "backup";
inline constexpr std::string_view kRestart = "restart_service";
inline constexpr std::string_view kSwitch = "switch_service";
inline constexpr std::string_view kFormer = "tend_former_instance";
inline constexpr std::string_view kRetention = "apply_retention";
inline constexpr std::string_view kPrune = "prune_repository";
inline constexpr std::string_view kImport = "import";
inline constexpr std::string_view kVerify = "verify_backup";
}  // namespace kinds

struct NewOperation {
  std::string kind;
  std::int64_t team_id = 0;
  std::string service_id;
  /// One operation of a lane runs at a time; empty: the service.
  std::string lane;
  core::json::object request;
  model::Secrets secrets;
  /// Nothing: at once.
  std::optional<core::Timestamp> not_before;
};

/// Thread-safe.
class OperationQueue {
 public:
  OperationQueue(core::Clock& clock, core::Random& random, OperationFeed& feed)
      : clock_(clock), random_(random), feed_(feed) {}

  /// Puts the work into the queue within the caller's transaction; ring() after its commit.
  model::Operation enqueue(metadata::Transaction& tx, const NewOperation& wanted);
  /// Wakes the workers.
  void ring();
  /// Waits until there was a ring that the caller has not `heard` yet, or `at_most` of real time has passed.
  void wait(std::stop_token stop, std::uint64_t& heard, core::Duration at_most);

  [[nodiscard]] OperationFeed& feed() { return feed_; }

  /// The worker that runs an operation listens here for its cancellation. The callback stays callable until another
  /// thread's cancel() has returned: it must own what it uses.
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
