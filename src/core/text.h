// Small text operations on ASCII protocol text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace backstay::core {

std::vector<std::string> split(std::string_view text, char separator);
std::string_view trim(std::string_view text);
std::string to_lower(std::string_view text);
/// The whole text as an integer; nothing if it is anything else or does not fit.
std::optional<std::int64_t> parse_int(std::string_view text);
std::optional<std::uint64_t> parse_hex(std::string_view text);
/// "512 B", "1.5 MiB": for people.
std::string format_bytes(std::uint64_t bytes);
/// Percent-encoding of RFC 3986: unreserved characters stay, and "/" too if `keep_slash`.
std::string url_encode(std::string_view text, bool keep_slash = false);
/// Throws Error(invalid_argument) for a broken escape. "+" is kept as it is.
std::string url_decode(std::string_view text);

}  // namespace backstay::core
