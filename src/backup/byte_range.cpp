#include "backup/byte_range.h"

#include <algorithm>

namespace backstay::backup {

void add_range(std::vector<ByteRange>& ranges, ByteRange range) {
  if (range.from >= range.to) return;
  if (!ranges.empty() && ranges.back().to >= range.from) {
    ranges.back().to = std::max(ranges.back().to, range.to);
  } else {
    ranges.push_back(range);
  }
}

std::vector<ByteRange> complement(const std::vector<ByteRange>& ranges, std::uint64_t size) {
  std::vector<ByteRange> rest;
  std::uint64_t at = 0;
  for (const ByteRange& range : ranges) {
    add_range(rest, {at, std::min(range.from, size)});
    at = range.to;
  }
  add_range(rest, {at, size});
  return rest;
}

std::uint64_t total_size(const std::vector<ByteRange>& ranges) {
  std::uint64_t size = 0;
  for (const ByteRange& range : ranges) size += range.size();
  return size;
}

}  // namespace backstay::backup
