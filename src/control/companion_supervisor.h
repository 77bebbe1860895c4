// Keeps companions running beside their instances.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "control/event_log.h"
#include "control/provider.h"
#include "core/mutex.h"
#include "core/time.h"
#include "metadata/database.h"

namespace backstay::control {

/// What the supervisor needs; all outlive it.
struct SupervisorDependencies {
  metadata::Database& database;
  EventLog& events;
  core::Clock& clock;
};

/// One thread for each companion. A companion that is to end may take its time, as one whose store hangs does: nothing
/// here waits for it unless it says so. Thread-safe.
class CompanionSupervisor {
 public:
  explicit CompanionSupervisor(SupervisorDependencies dependencies) : deps_(dependencies) {}
  /// Stops all.
  ~CompanionSupervisor();

  /// Brings what runs beside the instance nearer to exactly `wanted`: tells what is no longer wanted to end, starts
  /// what is missing once its predecessor has ended. True if nothing is left to do; else it wants to be called again.
  bool reconcile(const std::string& service_id, const std::string& instance_id, const std::vector<Companion>& wanted);
  /// Ends the instance's companions, and waits: nothing is started for it any more, unless it is readmitted.
  void retire(const std::string& instance_id);
  /// One that was retired may have companions again.
  void readmit(const std::string& instance_id);
  /// Tells what runs beside the service's instances to end, for another server to start it. True once it has ended.
  bool release(const std::string& service_id);
  /// Waits.
  void stop_all();

 private:
  struct Running {
    std::string service_id;
    std::string fingerprint;
    std::unique_ptr<std::atomic<bool>> ended = std::make_unique<std::atomic<bool>>(false);
    std::jthread thread;
  };
  using Key = std::pair<std::string, std::string>;  // instance, companion
  static bool stays(const std::pair<const Key, Running>& running, const std::vector<Companion>& wanted);
  using Place = std::map<Key, Running>::iterator;
  /// One that is to end: forgotten if it has ended, else kept and added to those that are told so outside of the lock.
  Place leave(Place place, std::vector<std::stop_source>& told) REQUIRES(mutex_);
  void start(const std::string& service_id, const Key& key, const Companion& companion) REQUIRES(mutex_);
  void run(const std::stop_token& stop, const std::string& service_id, const std::string& instance_id,
           const Companion& companion);

  SupervisorDependencies deps_;
  core::Mutex mutex_;
  std::map<Key, Running> running_ GUARDED_BY(mutex_);
  /// Since when. A look that was under way when an instance was retired ends long before it is forgotten here.
  std::map<std::string, core::SteadyTime> retired_ GUARDED_BY(mutex_);
};

}  // namespace backstay::control
