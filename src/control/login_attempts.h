// How often a login may fail, for one account and from one address.
//
// Somebody who only knows an account's name closes it for their own address alone; from many addresses together it
// takes ten times as many.
#pragma once

#include <chrono>
#include <map>
#include <string>

#include "core/mutex.h"
#include "core/time.h"

namespace backstay::control {

/// Thread-safe. Counts in this process alone.
class LoginAttempts {
 public:
  static constexpr int kMostOfAccountFromAddress = 10;
  static constexpr int kMostOfAccount = 100;
  static constexpr int kMostOfAddress = 50;
  static constexpr auto kWindow = std::chrono::minutes(15);

  explicit LoginAttempts(core::Clock& clock) : clock_(clock) {}
  /// Counts an attempt before it is judged, so that many at once are many. Throws Error(rate_limited) where the
  /// account, the address or the two together have had their attempts of the quarter of an hour that began with the
  /// first one.
  void begin(const std::string& email, const std::string& address);
  /// The password was right: its attempts do not count.
  void succeeded(const std::string& email, const std::string& address);

 private:
  struct Count {
    int attempts = 0;
    core::SteadyTime since{};
  };
  void count(const std::string& who, int most, std::string_view what) REQUIRES(mutex_);

  core::Clock& clock_;
  core::Mutex mutex_;
  std::map<std::string, Count> counts_ GUARDED_BY(mutex_);
};

}  // namespace backstay::control
