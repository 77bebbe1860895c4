// The same work on several threads, watched by the one that wants it done.
#pragma once

#include <functional>
#include <stop_token>

namespace backstay::backup {

/// Runs `work` on `workers` threads and returns when all have ended; meanwhile calls `tick` on this thread about four
/// times a second. The first exception of any of them, or a stop of `stop`, stops the others; then it is thrown again,
/// or Error(cancelled).
void run_parallel(unsigned workers, std::stop_token stop, const std::function<void(std::stop_token)>& work,
                  const std::function<void()>& tick);

}  // namespace backstay::backup
