#include "codec/crc32c.h"

#include <array>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace backstay::codec {
namespace {

constexpr std::uint32_t kPolynomial = 0x82f63b78;  // Castagnoli, bits reversed

constexpr std::array<std::uint32_t, 256> make_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? kPolynomial : 0);
    table[byte] = value;
  }
  return table;
}

constexpr auto kTable = make_table();

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t crc32c_hardware(core::ByteSpan data, std::uint32_t so_far) {
  std::uint64_t crc = ~so_far;
  std::size_t at = 0;
  for (; at + 8 <= data.size(); at += 8) crc = _mm_crc32_u64(crc, core::load_le<std::uint64_t>(data, at));
  auto narrow = static_cast<std::uint32_t>(crc);
  for (; at < data.size(); ++at) narrow = _mm_crc32_u8(narrow, std::to_integer<std::uint8_t>(data[at]));
  return ~narrow;
}
#endif

}  // namespace

namespace detail {

std::uint32_t crc32c_table(core::ByteSpan data, std::uint32_t so_far) {
  std::uint32_t crc = ~so_far;
  for (const std::byte byte : data) crc = (crc >> 8) ^ kTable[(crc ^ std::to_integer<std::uint32_t>(byte)) & 0xff];
  return ~crc;
}

bool crc32c_has_hardware() {
#if defined(__x86_64__)
  static const bool has = __builtin_cpu_supports("sse4.2") != 0;
  return has;
#else
  return false;
#endif
}

}  // namespace detail

std::uint32_t crc32c(core::ByteSpan data, std::uint32_t so_far) {
#if defined(__x86_64__)
  if (detail::crc32c_has_hardware()) return crc32c_hardware(data, so_far);
#endif
  return detail::crc32c_table(data, so_far);
}

}  // namespace backstay::codec
