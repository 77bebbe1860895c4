#include "model/json_format.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>
#include <optional>

#include "core/error.h"
#include "core/random.h"
#include "core/text.h"
#include "model/json_compare.h"

namespace backstay::model {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

/// Two or four digits at `at`; nothing for anything else.
std::optional<int> digits(std::string_view text, std::size_t at, std::size_t count) {
  if (at + count > text.size()) return std::nullopt;
  const auto part = text.substr(at, count);
  if (!std::ranges::all_of(part, is_digit)) return std::nullopt;
  return static_cast<int>(*core::parse_int(part));
}

bool is_date(std::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return false;
  const auto year = digits(text, 0, 4);
  const auto month = digits(text, 5, 2);
  const auto day = digits(text, 8, 2);
  if (!year || !month || !day) return false;
  return std::chrono::year_month_day(std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(*month)),
                                     std::chrono::day(static_cast<unsigned>(*day)))
      .ok();
}

/// Minutes from UTC of "Z" or "+hh:mm"; nothing for anything else.
std::optional<int> zone_minutes(std::string_view zone) {
  if (zone == "Z" || zone == "z") return 0;
  if (zone.size() != 6 || (zone[0] != '+' && zone[0] != '-') || zone[3] != ':') return std::nullopt;
  const auto hours = digits(zone, 1, 2);
  const auto minutes = digits(zone, 4, 2);
  if (!hours || !minutes || *hours > 23 || *minutes > 59) return std::nullopt;
  return (zone[0] == '-' ? -1 : 1) * (*hours * 60 + *minutes);
}

/// RFC 3339 full-time. A leap second is one only at 23:59:60 UTC.
bool is_time(std::string_view text) {
  if (text.size() < 9 || text[2] != ':' || text[5] != ':') return false;
  const auto hour = digits(text, 0, 2);
  const auto minute = digits(text, 3, 2);
  const auto second = digits(text, 6, 2);
  if (!hour || !minute || !second || *hour > 23 || *minute > 59 || *second > 60) return false;
  std::size_t at = 8;
  if (text[at] == '.') {
    const auto begin = ++at;
    while (at < text.size() && is_digit(text[at])) ++at;
    if (at == begin) return false;
  }
  const auto zone = zone_minutes(text.substr(at));
  if (!zone) return false;
  if (*second < 60) return true;
  constexpr int kDay = 24 * 60;
  return (*hour * 60 + *minute - *zone + 2 * kDay) % kDay == kDay - 1;
}

bool is_date_time(std::string_view text) {
  return text.size() > 11 && (text[10] == 'T' || text[10] == 't') && is_date(text.substr(0, 10)) &&
         is_time(text.substr(11));
}

bool is_hostname(std::string_view text) {
  if (text.empty() || text.size() > 253) return false;
  return std::ranges::all_of(core::split(text, '.'), [](const std::string& label) {
    return !label.empty() && label.size() <= 63 && label.front() != '-' && label.back() != '-' &&
           std::ranges::all_of(label, [](char c) { return is_digit(c) || is_alpha(c) || c == '-'; });
  });
}

/// Characters of RFC 3986, with percent signs that begin an escape. Brackets belong to the authority alone.
bool is_uri_text(std::string_view text, std::string_view extra) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size() || !is_hex(text[i + 1]) || !is_hex(text[i + 2])) return false;
      i += 2;
    } else if (!is_alpha(c) && !is_digit(c) &&
               std::string_view("-._~!$&'()*+,;=:@/?").find(c) == std::string_view::npos &&
               extra.find(c) == std::string_view::npos) {
      return false;
    }
  }
  return true;
}

/// An absolute URI: scheme, ":", and the rest.
bool is_uri(std::string_view text) {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0 || !is_alpha(text[0])) return false;
  const auto scheme = text.substr(0, colon);
  if (!std::ranges::all_of(scheme,
                           [](char c) { return is_alpha(c) || is_digit(c) || c == '+' || c == '-' || c == '.'; })) {
    return false;
  }
  auto rest = text.substr(colon + 1);
  if (rest.starts_with("//")) {
    const auto end = std::min(rest.find_first_of("/?#", 2), rest.size());
    if (!is_uri_text(rest.substr(2, end - 2), "[]")) return false;
    rest.remove_prefix(end);
  }
  const auto fragment = rest.find('#');
  if (fragment == std::string_view::npos) return is_uri_text(rest, "");
  return is_uri_text(rest.substr(0, fragment), "") && is_uri_text(rest.substr(fragment + 1), "");
}

bool is_base64(std::string_view text) {
  try {
    static_cast<void>(core::from_base64(text));
    return true;
  } catch (const core::Error&) {
    return false;
  }
}

bool is_any(std::string_view) { return true; }

struct TextFormat {
  std::string_view name;
  bool (*matches)(std::string_view);
};
constexpr std::array kTextFormats{TextFormat{"byte", is_base64},       TextFormat{"binary", is_any},
                                  TextFormat{"date", is_date},         TextFormat{"date-time", is_date_time},
                                  TextFormat{"hostname", is_hostname}, TextFormat{"password", is_any},
                                  TextFormat{"uri", is_uri},           TextFormat{"uuid", core::is_uuid}};
constexpr std::array<std::string_view, 4> kNumberFormats{"double", "float", "int32", "int64"};

template <typename Integer>
bool fits(const core::json::value& value) {
  const long double number = as_number(value);
  return is_integer(value) && number >= static_cast<long double>(std::numeric_limits<Integer>::min()) &&
         number <= static_cast<long double>(std::numeric_limits<Integer>::max());
}

}  // namespace

bool is_known_format(std::string_view format) {
  return std::ranges::find(kTextFormats, format, &TextFormat::name) != kTextFormats.end() ||
         std::ranges::find(kNumberFormats, format) != kNumberFormats.end();
}

bool has_format(const core::json::value& value, std::string_view format) {
  if (value.is_string()) {
    const auto* known = std::ranges::find(kTextFormats, format, &TextFormat::name);
    return known == kTextFormats.end() || known->matches(value.get_string());
  }
  if (!is_number(value)) return true;
  if (format == "int32") return fits<std::int32_t>(value);
  if (format == "int64") return fits<std::int64_t>(value);
  return true;
}

}  // namespace backstay::model
