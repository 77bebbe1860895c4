#include "blob/store.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"

namespace backstay::blob {
namespace {

constexpr std::size_t kMaxKeyLength = 900;

bool allowed(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("._=+@~-").find(c) != std::string_view::npos;
}

}  // namespace

bool is_valid_key(std::string_view key) {
  if (key.empty() || key.size() > kMaxKeyLength) return false;
  for (;;) {
    const auto slash = key.find('/');
    const auto segment = key.substr(0, slash);
    if (segment.empty() || segment == "." || segment == "..") return false;
    if (!std::ranges::all_of(segment, allowed)) return false;
    if (slash == std::string_view::npos) return true;
    key.remove_prefix(slash + 1);
  }
}

void check_key(std::string_view key) {
  if (is_valid_key(key)) return;
  throw core::Error(core::Code::kInvalidArgument, fmt::format("'{}' is not a valid object key", key.substr(0, 200)));
}

}  // namespace backstay::blob
