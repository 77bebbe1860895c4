// Every event that Backstay records, from the event catalogue (data/events.toml): names, severities and meanings.
//
// The body is a sentence for people: what happened, what it means for the data, what to do next.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/event.h"

namespace backstay::control {

struct EventKind {
  std::string_view name;
  int severity;
  /// What such an event stands for, in one sentence.
  std::string_view meaning;
};

namespace events {
#define BACKSTAY_EVENT(constant, name, severity, meaning) \
  inline constexpr EventKind constant{name, model::severity, meaning};
#include "control/event_kinds.inc"
#undef BACKSTAY_EVENT

/// All of them, in the catalogue's order.
std::span<const EventKind> catalogue();
/// True for the name of one of them.
bool is_known(std::string_view name);
/// True if one of the patterns, as in expand(), means the name.
bool matches(const std::vector<std::string>& patterns, std::string_view name);
/// The names that are meant: each a name, or the begin of names and ".*". Throws Error(invalid_argument) at `pointer`
/// for one that means none.
std::vector<std::string> expand(const std::vector<std::string>& wanted, const std::string& pointer);
}  // namespace events

}  // namespace backstay::control
