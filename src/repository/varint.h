// LEB128 numbers and texts, as in manifests and maps of changed pages.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/bytes.h"
#include "core/error.h"

namespace backstay::repository::detail {

/// The kind of the attribute of a file that names its chunks.
inline constexpr std::uint64_t kChunksAttribute = 1;

inline void put_number(core::Bytes& to, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) to.push_back(static_cast<std::byte>(value | 0x80));
  to.push_back(static_cast<std::byte>(value));
}
inline void put_text(core::Bytes& to, std::string_view text) {
  put_number(to, text.size());
  core::append(to, core::as_bytes(text));
}

/// Reads in order; throws corrupt_data at the end of the bytes.
class FieldReader {
 public:
  FieldReader(core::ByteSpan bytes, std::size_t at) : bytes_(bytes), at_(at) {}

  std::uint8_t byte() {
    if (at_ >= bytes_.size()) cut();
    return std::to_integer<std::uint8_t>(bytes_[at_++]);
  }
  std::uint64_t number() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const std::uint8_t next = byte();
      value |= static_cast<std::uint64_t>(next & 0x7f) << shift;
      if ((next & 0x80) == 0) return value;
    }
    cut();
  }
  /// One that has to fit into 32 bits.
  std::uint32_t number32() {
    const std::uint64_t value = number();
    if (value > UINT32_MAX) throw core::Error(core::Code::kCorruptData, "a number in a sealed object is too large");
    return static_cast<std::uint32_t>(value);
  }
  std::string_view text() { return core::as_text(bytes(number())); }
  core::ByteSpan bytes(std::uint64_t length) {
    if (length > bytes_.size() - at_) cut();
    const core::ByteSpan result = bytes_.subspan(at_, length);
    at_ += length;
    return result;
  }
  [[nodiscard]] std::size_t at() const { return at_; }

 private:
  [[noreturn]] static void cut() {
    throw core::Error(core::Code::kCorruptData, "the fields of a sealed object are cut");
  }
  core::ByteSpan bytes_;
  std::size_t at_;
};

}  // namespace backstay::repository::detail
