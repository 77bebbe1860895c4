// A run of bytes of a file.
#pragma once

#include <cstdint>
#include <vector>

namespace backstay::backup {

/// [from, to)
struct ByteRange {
  std::uint64_t from = 0;
  std::uint64_t to = 0;
  [[nodiscard]] std::uint64_t size() const { return to - from; }
  friend bool operator==(const ByteRange&, const ByteRange&) = default;
};

/// Adds a range that begins no earlier than what is there; one that touches the last makes it longer.
void add_range(std::vector<ByteRange>& ranges, ByteRange range);
/// What of [0, size) lies in none of the ranges, which are sorted and do not overlap.
std::vector<ByteRange> complement(const std::vector<ByteRange>& ranges, std::uint64_t size);
std::uint64_t total_size(const std::vector<ByteRange>& ranges);

}  // namespace backstay::backup
