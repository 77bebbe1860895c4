// This server among those that share its state: its lease, kept by beating, and the watch over the others' leases.
//
// No two machines' clocks are compared. A server trusts its lease for a while after a beat began, by its own steady
// clock; another one takes the lease from it only after it has seen the beats stand still for a longer while, by its
// own. What a server does after that is refused by the state: it writes through Database::fenced().
#pragma once

#include <chrono>
#include <map>
#include <string>

#include "core/mutex.h"
#include "core/time.h"
#include "metadata/database.h"

namespace backstay::control {

struct MembershipConfig {
  /// Of the state directory, whose lock this process holds.
  std::string server_id = "server";
  /// Whether other servers may use the state; without them there are no leases to keep.
  bool shared = false;
  /// How long beats stand still until others take over.
  std::chrono::milliseconds lease{10000};
  /// How long a server goes on after the last beat that it knows of.
  std::chrono::milliseconds trust{7000};
};

/// Thread-safe, but for join(), beat() and leave(), which one thread calls at a time.
class Membership {
 public:
  Membership(metadata::Database& database, core::Clock& clock, MembershipConfig config)
      : database_(database), clock_(clock), config_(std::move(config)) {}

  /// Enters with a new epoch, which is returned. What this server's runs before held is free again; without sharing,
  /// what any server held.
  std::int64_t join();
  /// Keeps the lease, and retires servers whose beats stand still. Throws what the state throws.
  void beat();
  /// False once the lease is lost, or too long ago confirmed to rely on it: everything has to stop.
  [[nodiscard]] bool is_valid() const;
  /// Gives everything up, for others to take at once.
  void leave();

  [[nodiscard]] bool is_shared() const { return config_.shared; }

 private:
  struct Seen {
    std::int64_t beats = 0;
    core::SteadyTime since{};
  };
  void watch(std::int64_t own);

  metadata::Database& database_;
  core::Clock& clock_;
  const MembershipConfig config_;
  mutable core::Mutex mutex_;
  /// 0 while not a member.
  std::int64_t epoch_ GUARDED_BY(mutex_) = 0;
  core::SteadyTime trusted_until_ GUARDED_BY(mutex_);
  /// By epoch.
  std::map<std::int64_t, Seen> others_;
};

}  // namespace backstay::control
