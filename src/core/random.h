// Randomness, behind an interface so that fault suites can replay a seed.
#pragma once

#include <cstdint>
#include <string>

#include "core/bytes.h"

namespace backstay::core {

/// Safe for use by any thread.
class Random {
 public:
  virtual ~Random() = default;
  virtual void fill(MutableByteSpan bytes) = 0;

  std::uint64_t u64();
  /// Uniform in [0, bound); bound > 0.
  std::uint64_t below(std::uint64_t bound);
  Bytes bytes(std::size_t count);
  /// A version 4 UUID in its lower-case text form.
  std::string uuid();
  /// `count` characters of [A-Za-z0-9], about 5.95 bits each.
  std::string token(std::size_t count);
};

/// The kernel's cryptographic generator.
class SystemRandom final : public Random {
 public:
  void fill(MutableByteSpan bytes) override;
};

/// True for the canonical 36-character form, lower or upper case.
bool is_uuid(std::string_view text);

}  // namespace backstay::core
