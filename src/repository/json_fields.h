// Private to repository: reading the JSON of sealed objects, where a wrong field is damage and not a bad request.
#pragma once

#include <charconv>

#include <fmt/format.h>

#include "core/error.h"
#include "core/json.h"
#include "core/time.h"

namespace backstay::repository::detail {

/// LSNs and other 64-bit numbers are text in JSON: not every reader keeps more than 53 bits.
inline std::string number_text(std::uint64_t value) { return fmt::format("{}", value); }

inline std::uint64_t parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw core::Error(core::Code::kCorruptData, fmt::format("'{}' is not a number", text));
  }
  return value;
}

inline std::uint64_t parse_number(const core::json::value& value) {
  if (!value.is_string()) throw core::Error(core::Code::kCorruptData, "a number is not given as text");
  return parse_number(std::string_view(value.as_string()));
}

inline std::uint64_t read_number(const core::json::object& object, std::string_view key) {
  try {
    return parse_number(core::require_string(object, key));
  } catch (core::Error& error) {
    throw std::move(error).add_context(fmt::format("field '{}'", key));
  }
}

inline std::uint32_t read_u32(const core::json::object& object, std::string_view key) {
  const std::int64_t value = core::require_int(object, key);
  if (value < 0 || value > UINT32_MAX) {
    throw core::Error(core::Code::kCorruptData, fmt::format("field '{}' is out of range: {}", key, value));
  }
  return static_cast<std::uint32_t>(value);
}

inline core::Timestamp read_time(const core::json::object& object, std::string_view key) {
  return core::parse_time(core::require_string(object, key));
}

inline std::optional<core::Timestamp> find_time(const core::json::object& object, std::string_view key) {
  const auto text = core::find_string(object, key);
  if (!text) return std::nullopt;
  return core::parse_time(*text);
}

inline void put_time(core::json::object& object, std::string_view key, const std::optional<core::Timestamp>& time) {
  if (time) object[key] = core::format_time(*time);
}

/// An error of one object, as against one of the store: the others may be fine.
inline bool is_damaged(const core::Error& error) {
  return error.code() == core::Code::kCorruptData || error.code() == core::Code::kUnsupportedFormat;
}

/// Runs `read`; what a caller's mistake would be elsewhere is corrupt data here.
template <typename Read>
auto reading(std::string_view what, Read read) {
  try {
    return read();
  } catch (const core::Error& error) {
    throw core::Error(core::Code::kCorruptData, fmt::format("cannot read {}: {}", what, error.message()));
  }
}

}  // namespace backstay::repository::detail
