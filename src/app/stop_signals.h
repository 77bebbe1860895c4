// SIGTERM and SIGINT as something that the main thread waits for.
#pragma once

#include <csignal>

namespace backstay::app {

/// Made on the main thread before any other thread starts: those then inherit that the signals are blocked. A second
/// signal, after wait() has returned, ends the process at once.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  /// Waits for one of them; returns its number.
  int wait();

 private:
  void restore();

  sigset_t signals_{};
  sigset_t before_{};
};

}  // namespace backstay::app
