#include "postgres/page_checksum.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace backstay::postgres {
namespace {

// FNV-1a in 32 lanes, as PostgreSQL defines it: each lane takes every 32nd word of the page, then two rounds of zero.
constexpr std::uint32_t kPrime = 16'777'619;
constexpr std::size_t kLanes = 32;
constexpr std::size_t kRows = kPageSize / (kLanes * sizeof(std::uint32_t));
constexpr std::size_t kChecksumOffset = 8;
constexpr std::size_t kUpperOffset = 14;

constexpr std::array<std::uint32_t, kLanes> kSeeds = {
    0x5B1F36E9, 0xB8525960, 0x02AB50AA, 0x1DE66D2A, 0x79FF467A, 0x9BB9F8A3, 0x217E7CD2, 0x83E13D2C,
    0xF8D4474F, 0xE39EB970, 0x42C6AE16, 0x993216FA, 0x7B093B5D, 0x98DAFF3C, 0xF718902A, 0x0B1C9CDB,
    0xE58F764B, 0x187636BC, 0x5D7B3BB1, 0xE73DE7DE, 0x92BEC979, 0xCCA6C0B2, 0x304A0979, 0x85AA43D4,
    0x783125BB, 0x6CA8EAA2, 0xE407EAC6, 0x4B5CFC3E, 0x9FBF8C76, 0x15CA20BE, 0xF2CA9FD3, 0x959BD756};

// Eight lanes in one vector: the compiler emulates it where the processor has no such registers.
using Vector = std::uint32_t __attribute__((vector_size(32)));
constexpr std::size_t kVectors = kLanes * sizeof(std::uint32_t) / sizeof(Vector);

[[gnu::always_inline]] inline void mix(Vector& sum, const Vector& value) {
  const Vector mixed = sum ^ value;
  sum = mixed * kPrime ^ mixed >> 17;
}

[[gnu::always_inline]] inline std::uint32_t hash_page(const std::byte* page) {
  std::array<Vector, kVectors> sums;
  std::memcpy(sums.data(), kSeeds.data(), sizeof sums);
  for (std::size_t row = 0; row < kRows; ++row) {
    std::array<Vector, kVectors> values;
    std::memcpy(values.data(), page + row * sizeof values, sizeof values);
    if (row == 0) values[0][kChecksumOffset / 4] &= 0xFFFF0000u;  // the stored checksum does not count
    for (std::size_t i = 0; i < kVectors; ++i) mix(sums[i], values[i]);
  }
  const Vector zero = {};
  for (int round = 0; round < 2; ++round) {
    for (auto& sum : sums) mix(sum, zero);
  }
  std::uint32_t result = 0;
  for (const auto& sum : sums) {
    for (std::size_t lane = 0; lane < 8; ++lane) result ^= sum[lane];
  }
  return result;
}

[[gnu::target("avx2")]] std::uint32_t hash_page_avx2(const std::byte* page) { return hash_page(page); }
std::uint32_t hash_page_plain(const std::byte* page) { return hash_page(page); }

std::uint32_t hash(const std::byte* page) {
  static const bool has_avx2 = __builtin_cpu_supports("avx2") != 0;
  return has_avx2 ? hash_page_avx2(page) : hash_page_plain(page);
}

}  // namespace

std::uint16_t page_checksum(core::ByteSpan page, std::uint32_t block) {
  return static_cast<std::uint16_t>((hash(page.data()) ^ block) % 65535 + 1);
}

PageState check_page(core::ByteSpan page, std::uint32_t block) {
  if (core::load_le<std::uint16_t>(page, kUpperOffset) == 0) {
    const bool zero = std::all_of(page.begin(), page.end(), [](std::byte b) { return b == std::byte{0}; });
    return zero ? PageState::kNew : PageState::kInvalid;
  }
  const auto stored = core::load_le<std::uint16_t>(page, kChecksumOffset);
  return stored == page_checksum(page, block) ? PageState::kValid : PageState::kInvalid;
}

Lsn page_lsn(core::ByteSpan page) {
  return {std::uint64_t{core::load_le<std::uint32_t>(page, 0)} << 32 | core::load_le<std::uint32_t>(page, 4)};
}

}  // namespace backstay::postgres
