#include "model/json_compare.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <fmt/format.h>

namespace backstay::model {

namespace json = core::json;

static_assert(std::numeric_limits<long double>::digits >= 64, "long double must hold every 64-bit integer");

bool is_number(const json::value& value) { return value.is_number(); }

bool is_integer(const json::value& value) {
  if (value.is_double()) return std::nearbyint(value.get_double()) == value.get_double();
  return value.is_int64() || value.is_uint64();
}

long double as_number(const json::value& value) {
  if (value.is_int64()) return static_cast<long double>(value.get_int64());
  if (value.is_uint64()) return static_cast<long double>(value.get_uint64());
  return static_cast<long double>(value.get_double());
}

std::size_t code_points(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }));
}

namespace {

void write_canonical(const json::value& value, std::string& out);

void write_object(const json::object& object, std::string& out) {
  std::vector<std::string_view> keys;
  keys.reserve(object.size());
  for (const auto& member : object) keys.emplace_back(member.key());
  std::ranges::sort(keys);
  out += '{';
  for (const auto key : keys) {
    out += json::serialize(json::string(key));
    out += ':';
    write_canonical(object.at(key), out);
    out += ',';
  }
  out += '}';
}

void write_canonical(const json::value& value, std::string& out) {
  if (value.is_number()) {
    // Shortest text with all digits: the same for 1, 1u and 1.0.
    const auto number = as_number(value);
    out += number == 0 ? "0" : fmt::format("{}", number);
  } else if (value.is_array()) {
    out += '[';
    for (const auto& item : value.get_array()) {
      write_canonical(item, out);
      out += ',';
    }
    out += ']';
  } else if (value.is_object()) {
    write_object(value.get_object(), out);
  } else {
    out += json::serialize(value);
  }
}

}  // namespace

std::string canonical_text(const json::value& value) {
  std::string out;
  write_canonical(value, out);
  return out;
}

}  // namespace backstay::model
