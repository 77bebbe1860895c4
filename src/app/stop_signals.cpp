#include "app/stop_signals.h"

#include <cerrno>

#include "core/error.h"

namespace backstay::app {

StopSignals::StopSignals() {
  sigemptyset(&signals_);
  sigaddset(&signals_, SIGTERM);
  sigaddset(&signals_, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals_, &before_);
}

StopSignals::~StopSignals() { restore(); }

int StopSignals::wait() {
  int number = 0;
  if (const int error = sigwait(&signals_, &number); error != 0) {
    throw core::system_error("cannot wait for signals", error, core::Code::kInternal);
  }
  restore();
  return number;
}

void StopSignals::restore() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

}  // namespace backstay::app
