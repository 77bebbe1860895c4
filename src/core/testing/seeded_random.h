#pragma once

#include <random>

#include "core/mutex.h"
#include "core/random.h"

namespace backstay::core::testing {

/// The same for the same seed, as far as one thread asks.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : engine_(seed) {}
  void fill(MutableByteSpan bytes) override {
    const LockGuard lock(mutex_);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(engine_() >> 32U);
  }

 private:
  Mutex mutex_;
  std::mt19937_64 engine_ GUARDED_BY(mutex_);
};

}  // namespace backstay::core::testing
