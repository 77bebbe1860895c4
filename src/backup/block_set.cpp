#include "backup/block_set.h"

#include <algorithm>
#include <bit>

namespace backstay::backup {
namespace {

constexpr std::uint32_t kPartSize = 1U << 16;
/// From so many on a bitmap takes at most eight bytes a block.
constexpr std::size_t kFew = 1024;
constexpr unsigned kWordBits = 64;

std::uint16_t upper(std::uint32_t block) { return static_cast<std::uint16_t>(block >> 16); }
std::uint16_t lower(std::uint32_t block) { return static_cast<std::uint16_t>(block); }

}  // namespace

void BlockSet::Part::insert(std::uint16_t block) {
  if (!bits_.empty()) {
    bits_[block / kWordBits] |= std::uint64_t{1} << block % kWordBits;
    return;
  }
  const auto at = std::ranges::lower_bound(few_, block);
  if (at != few_.end() && *at == block) return;
  few_.insert(at, block);
  if (few_.size() > kFew) become_bitmap();
}

void BlockSet::Part::become_bitmap() {
  bits_.assign(kPartSize / kWordBits, 0);
  for (const std::uint16_t block : few_) bits_[block / kWordBits] |= std::uint64_t{1} << block % kWordBits;
  few_ = {};
}

void BlockSet::Part::merge(const Part& other) {
  if (other.bits_.empty()) {
    for (const std::uint16_t block : other.few_) insert(block);
    return;
  }
  if (bits_.empty()) become_bitmap();
  for (std::size_t i = 0; i < bits_.size(); ++i) bits_[i] |= other.bits_[i];
}

void BlockSet::Part::remove_from(std::uint16_t first) {
  if (bits_.empty()) {
    few_.erase(std::ranges::lower_bound(few_, first), few_.end());
    return;
  }
  const std::size_t word = first / kWordBits;
  bits_[word] &= (std::uint64_t{1} << first % kWordBits) - 1;
  std::fill(bits_.begin() + static_cast<std::ptrdiff_t>(word) + 1, bits_.end(), 0);
}

bool BlockSet::Part::contains(std::uint16_t block) const {
  if (bits_.empty()) return std::ranges::binary_search(few_, block);
  return (bits_[block / kWordBits] >> block % kWordBits & 1) != 0;
}

std::size_t BlockSet::Part::size() const {
  std::size_t count = few_.size();
  for (const std::uint64_t word : bits_) count += static_cast<std::size_t>(std::popcount(word));
  return count;
}

std::size_t BlockSet::Part::memory() const {
  return few_.capacity() * sizeof(std::uint16_t) + bits_.capacity() * sizeof(std::uint64_t);
}

template <typename Each>
void BlockSet::Part::for_each(std::uint32_t first, std::uint32_t end, Each each) const {
  if (bits_.empty()) {
    const auto until = end < kPartSize ? std::ranges::lower_bound(few_, lower(end)) : few_.end();
    std::for_each(std::ranges::lower_bound(few_, lower(first)), until, each);
    return;
  }
  for (std::uint32_t at = first; at < end;) {
    const std::uint64_t word = bits_[at / kWordBits] >> at % kWordBits;
    if (word == 0) {
      at += kWordBits - at % kWordBits;
      continue;
    }
    at += static_cast<std::uint32_t>(std::countr_zero(word));
    if (at < end) each(lower(at));
    ++at;
  }
}

void BlockSet::insert(std::uint32_t block) { parts_[upper(block)].insert(lower(block)); }

void BlockSet::merge(const BlockSet& other) {
  for (const auto& [number, part] : other.parts_) parts_[number].merge(part);
}

void BlockSet::remove_from(std::uint32_t first) {
  parts_.erase(parts_.upper_bound(upper(first)), parts_.end());
  const auto part = parts_.find(upper(first));
  if (part == parts_.end()) return;
  part->second.remove_from(lower(first));
  if (part->second.size() == 0) parts_.erase(part);
}

bool BlockSet::contains(std::uint32_t block) const {
  const auto part = parts_.find(upper(block));
  return part != parts_.end() && part->second.contains(lower(block));
}

void BlockSet::collect(std::uint32_t first, std::uint64_t end, std::vector<std::uint32_t>& to) const {
  for (auto it = parts_.lower_bound(upper(first)); it != parts_.end(); ++it) {
    const std::uint64_t start = std::uint64_t{it->first} * kPartSize;
    if (start >= end) break;
    const auto from = first > start ? static_cast<std::uint32_t>(first - start) : 0;
    const auto until = static_cast<std::uint32_t>(std::min<std::uint64_t>(end - start, kPartSize));
    it->second.for_each(from, until,
                        [&](std::uint16_t block) { to.push_back(static_cast<std::uint32_t>(start + block)); });
  }
}

std::uint64_t BlockSet::size() const {
  std::uint64_t count = 0;
  for (const auto& part : parts_) count += part.second.size();
  return count;
}

std::size_t BlockSet::memory() const {
  constexpr std::size_t kNode = 128;
  std::size_t bytes = 0;
  for (const auto& part : parts_) bytes += kNode + part.second.memory();
  return bytes;
}

bool BlockSet::operator==(const BlockSet& other) const {
  std::vector<std::uint32_t> mine;
  std::vector<std::uint32_t> others;
  collect(0, std::uint64_t{1} << 32, mine);
  other.collect(0, std::uint64_t{1} << 32, others);
  return mine == others;
}

}  // namespace backstay::backup
