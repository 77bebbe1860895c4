#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>

namespace backstay::core::testing {

/// Where a test that draws at random begins: the same everywhere, so that a red run is red again. The nightly run
/// sets BACKSTAY_TEST_SEED to a number of its own. Call it before any thread of the test is started.
inline std::uint32_t seed() {
  const char* const given = std::getenv("BACKSTAY_TEST_SEED");  // NOLINT(concurrency-mt-unsafe)
  return given == nullptr ? 1 : static_cast<std::uint32_t>(std::stoul(given));
}

}  // namespace backstay::core::testing
