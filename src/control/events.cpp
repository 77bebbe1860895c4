#include "control/events.h"

#include <algorithm>

namespace backstay::control::events {
namespace {

constexpr EventKind kCatalogue[] = {
#define BACKSTAY_EVENT(constant, name, severity, meaning) constant,
#include "control/event_kinds.inc"
#undef BACKSTAY_EVENT
};

}  // namespace

std::span<const EventKind> catalogue() { return kCatalogue; }

bool is_known(std::string_view name) {
  return std::ranges::find(catalogue(), name, &EventKind::name) != catalogue().end();
}

}  // namespace backstay::control::events
