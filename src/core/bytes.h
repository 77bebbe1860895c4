// Byte buffers and their text forms.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace backstay::core {

static_assert(std::endian::native == std::endian::little, "Backstay reads and writes little-endian data in place");

using Bytes = std::vector<std::byte>;
using ByteSpan = std::span<const std::byte>;
using MutableByteSpan = std::span<std::byte>;

inline ByteSpan as_bytes(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }
inline Bytes to_bytes(std::string_view text) {
  const ByteSpan span = as_bytes(text);
  return {span.begin(), span.end()};
}
inline std::string_view as_text(ByteSpan bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
inline void append(Bytes& to, ByteSpan from) { to.insert(to.end(), from.begin(), from.end()); }

/// Reads an integer stored little-endian at `at`; the caller checks the bounds.
template <typename T>
T load_le(ByteSpan bytes, std::size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}
template <typename T>
void store_le(MutableByteSpan bytes, std::size_t at, T value) {
  std::memcpy(bytes.data() + at, &value, sizeof value);
}
template <typename T>
void append_le(Bytes& to, T value) {
  const auto at = to.size();
  to.resize(at + sizeof value);
  std::memcpy(to.data() + at, &value, sizeof value);
}
/// Reads an integer stored big-endian (network order).
template <typename T>
T load_be(ByteSpan bytes, std::size_t at) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value = static_cast<T>(static_cast<std::uint64_t>(value) << 8 | std::to_integer<std::uint8_t>(bytes[at + i]));
  }
  return value;
}
template <typename T>
void append_be(Bytes& to, T value) {
  for (std::size_t i = sizeof(T); i-- > 0;) to.push_back(static_cast<std::byte>(value >> (8 * i)));
}

/// Lower-case hexadecimal.
std::string to_hex(ByteSpan bytes);
/// Throws Error(invalid_argument) for an odd length or another character.
Bytes from_hex(std::string_view text);

/// Standard base64 with padding.
std::string to_base64(ByteSpan bytes);
/// Throws Error(invalid_argument) for text that is not padded standard base64.
Bytes from_base64(std::string_view text);

}  // namespace backstay::core
