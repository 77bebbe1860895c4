#include "control/events.h"

#include <algorithm>

#include "core/error.h"

namespace backstay::control::events {
namespace {

constexpr EventKind kCatalogue[] = {
#define BACKSTAY_EVENT(constant, name, severity, meaning) constant,
#include "control/event_kinds.inc"
#undef BACKSTAY_EVENT
};

bool means(std::string_view pattern, std::string_view name) {
  return pattern == name || (pattern.ends_with(".*") && name.starts_with(pattern.substr(0, pattern.size() - 1)));
}

}  // namespace

std::span<const EventKind> catalogue() { return kCatalogue; }

bool is_known(std::string_view name) {
  return std::ranges::find(catalogue(), name, &EventKind::name) != catalogue().end();
}

bool matches(const std::vector<std::string>& patterns, std::string_view name) {
  return std::ranges::any_of(patterns, [&](const auto& pattern) { return means(pattern, name); });
}

std::vector<std::string> expand(const std::vector<std::string>& wanted, const std::string& pointer) {
  std::vector<std::string> names;
  for (const auto& one : wanted) {
    const auto before = names.size();
    for (const auto& kind : catalogue()) {
      if (means(one, kind.name)) names.emplace_back(kind.name);
    }
    if (names.size() > before) continue;
    throw core::Error(core::Code::kInvalidArgument, fmt::format("there is no event '{}'", one))
        .with_field(pointer, fmt::format("'{}' is no event of the catalogue", one))
        .with_hint("see docs/events.md; 'backup.*' means all that begin so");
  }
  return names;
}

}  // namespace backstay::control::events
