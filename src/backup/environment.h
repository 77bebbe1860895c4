// What every pipeline takes from outside, and how it tells how far it is.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace backstay::core {
class Clock;
class Random;
}  // namespace backstay::core

namespace backstay::os {
class FileSystem;
class ProcessRunner;
}  // namespace backstay::os

namespace backstay::backup {

/// The outside world of a pipeline. Everything outlives the call; everything is safe for use by any thread.
struct Environment {
  core::Clock& clock;
  core::Random& random;
  os::FileSystem& files;
  os::ProcessRunner& processes;
};

/// How far a piece of work is. `phase` is a stable word ("copy", "wal", "replay"); `total` is 0 while it is not known.
/// Both numbers are bytes.
struct Progress {
  std::string phase;
  std::uint64_t done = 0;
  std::uint64_t total = 0;
};

/// Called now and then (about four times a second, and at each change of phase), by one thread at a time, never under a
/// lock. It may be empty. An exception that it throws ends the work.
using ProgressCallback = std::function<void(const Progress&)>;

}  // namespace backstay::backup
