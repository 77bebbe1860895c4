#include "api/dialect_hint.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace backstay::api {
namespace {

constexpr std::array<std::string_view, 5> kMethods{"GET", "POST", "PUT", "PATCH", "DELETE"};

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_of_word(char c) { return is_lower(c) || is_upper(c) || (c >= '0' && c <= '9') || c == '_'; }

/// A method of HTTP, or a name like deletionProtection.
bool is_house_word(std::string_view word) {
  if (std::ranges::find(kMethods, word) != kMethods.end()) return true;
  return !word.empty() && is_lower(word.front()) && std::ranges::any_of(word, is_upper);
}

bool speaks_house(std::string_view text) {
  while (!text.empty()) {
    const auto* begin = std::ranges::find_if(text, is_of_word);
    const auto* end = std::find_if_not(begin, text.end(), is_of_word);
    if (is_house_word({begin, end})) return true;
    text.remove_prefix(static_cast<std::size_t>(end - text.begin()));
  }
  return false;
}

}  // namespace

std::string dialect_hint(const core::Error& error) {
  std::string hint = error.hint();
  for (auto begin = hint.find(" ("); begin != std::string::npos; begin = hint.find(" (", begin)) {
    const auto end = hint.find(')', begin);
    if (end == std::string::npos) break;
    if (speaks_house(std::string_view(hint).substr(begin, end - begin))) {
      hint.erase(begin, end + 1 - begin);
    } else {
      begin = end;
    }
  }
  return speaks_house(hint) ? "" : hint;
}

}  // namespace backstay::api
