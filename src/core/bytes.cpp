#include "core/bytes.h"

#include "core/error.h"

namespace backstay::core {
namespace {

constexpr std::string_view kHex = "0123456789abcdef";
constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::uint8_t digit_value(std::string_view alphabet, char c, const char* what) {
  const auto at = alphabet.find(c);
  if (at == std::string_view::npos) throw Error(Code::kInvalidArgument, std::string("text is not ") + what);
  return static_cast<std::uint8_t>(at);
}

}  // namespace

std::string to_hex(ByteSpan bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const std::byte b : bytes) {
    const auto value = std::to_integer<unsigned>(b);
    text.push_back(kHex[value >> 4]);
    text.push_back(kHex[value & 15]);
  }
  return text;
}

Bytes from_hex(std::string_view text) {
  if (text.size() % 2 != 0) throw Error(Code::kInvalidArgument, "hexadecimal text has an odd length");
  Bytes bytes;
  bytes.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    bytes.push_back(static_cast<std::byte>(digit_value(kHex, text[i], "hexadecimal") << 4 |
                                           digit_value(kHex, text[i + 1], "hexadecimal")));
  }
  return bytes;
}

std::string to_base64(ByteSpan bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t left = bytes.size() - i;
    std::uint32_t word = std::to_integer<std::uint32_t>(bytes[i]) << 16;
    if (left > 1) word |= std::to_integer<std::uint32_t>(bytes[i + 1]) << 8;
    if (left > 2) word |= std::to_integer<std::uint32_t>(bytes[i + 2]);
    text.push_back(kBase64[word >> 18]);
    text.push_back(kBase64[word >> 12 & 63]);
    text.push_back(left > 1 ? kBase64[word >> 6 & 63] : '=');
    text.push_back(left > 2 ? kBase64[word & 63] : '=');
  }
  return text;
}

Bytes from_base64(std::string_view text) {
  if (text.size() % 4 != 0)
    throw Error(Code::kInvalidArgument, "text is not base64: its length is not a multiple of 4");
  std::size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  Bytes bytes;
  bytes.reserve(text.size() / 4 * 3);
  for (std::size_t i = 0; i < text.size(); i += 4) {
    std::uint32_t word = 0;
    for (std::size_t j = 0; j < 4; ++j) {
      const bool pad = i + j >= text.size() - padding;
      word = word << 6 | (pad ? 0 : digit_value(kBase64, text[i + j], "base64"));
    }
    bytes.push_back(static_cast<std::byte>(word >> 16));
    bytes.push_back(static_cast<std::byte>(word >> 8));
    bytes.push_back(static_cast<std::byte>(word));
  }
  bytes.resize(bytes.size() - padding);
  return bytes;
}

}  // namespace backstay::core
