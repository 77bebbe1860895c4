// Keeps companions running beside their instances.
#pragma once

#include <functional>
#include <map>
#include <set>
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

/// One thread for each companion. Thread-safe, but for one instance at a time.
class CompanionSupervisor {
 public:
  explicit CompanionSupervisor(SupervisorDependencies dependencies) : deps_(std::move(dependencies)) {}
  /// Stops all.
  ~CompanionSupervisor();

  /// Makes what runs beside the instance be exactly `wanted`; waits for the end of what is no longer wanted.
  void reconcile(const std::string& service_id, const std::string& instance_id, std::vector<Companion> wanted);
  /// Ends the instance's companions for good, and waits: nothing is started for it any more.
  void retire(const std::string& instance_id);
  /// Ends what runs beside the service's instances, and waits, for another server to start it.
  void release(const std::string& service_id);
  void stop_all();

 private:
  struct Running {
    std::string service_id;
    std::string fingerprint;
    std::jthread thread;
  };
  using Key = std::pair<std::string, std::string>;  // instance, companion
  void end(const std::function<bool(const Key& key, const Running& running)>& which);
  void run(const std::stop_token& stop, const std::string& service_id, const std::string& instance_id,
           const Companion& companion);

  SupervisorDependencies deps_;
  core::Mutex mutex_;
  std::map<Key, Running> running_ GUARDED_BY(mutex_);
  std::set<std::string> retired_ GUARDED_BY(mutex_);
};

}  // namespace backstay::control
