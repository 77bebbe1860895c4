// How many seeds a run takes, and from which on: by the environment, so that a night takes others than a day.
#pragma once

#include <cstdint>
#include <cstdlib>

#include "core/text.h"

namespace backstay::simulation {

inline std::uint64_t setting(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): before any thread
  return text == nullptr ? otherwise : static_cast<std::uint64_t>(core::parse_int(text).value());
}

inline std::uint64_t first_seed() { return setting("BACKSTAY_SIMULATION_FIRST_SEED", 1); }

}  // namespace backstay::simulation
