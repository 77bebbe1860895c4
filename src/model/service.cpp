#include "model/service.h"

#include <algorithm>

#include "model/words.h"

namespace backstay::model {
namespace {

constexpr Words<ServiceState, 10> kStates{{{ServiceState::kCreating, "creating"},
                                           {ServiceState::kUpdating, "updating"},
                                           {ServiceState::kDeleted, "deleted"},
                                           {ServiceState::kDeleting, "deleting"},
                                           {ServiceState::kPausing, "pausing"},
                                           {ServiceState::kUnpausing, "unpausing"},
                                           {ServiceState::kPaused, "paused"},
                                           {ServiceState::kSynchronized, "synchronized"},
                                           {ServiceState::kUnknown, "unknown"},
                                           {ServiceState::kInvalidProvider, "invalid provider"}}};

constexpr std::size_t kLongestName = 127;

bool is_name_end(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}
}  // namespace

std::string_view to_text(ServiceState state) { return word_of(kStates, state); }

ServiceState service_state_from_text(std::string_view text) { return value_of(kStates, text, "service state"); }

bool may_change(ServiceState from, ServiceState to) {
  if (from == to) return true;
  switch (from) {
    // Undeleting goes back to the beginning, or, with the data still there, to where it was.
    case ServiceState::kDeleted: return to == ServiceState::kCreating;
    case ServiceState::kDeleting: return to == ServiceState::kDeleted || to == ServiceState::kUpdating;
    default:
      // A service begins once; everything else may follow from everything, because trouble may come at any time.
      return to != ServiceState::kCreating && to != ServiceState::kDeleted;
  }
}

void check_service_name(std::string_view name) {
  const bool fits = !name.empty() && name.size() <= kLongestName && is_name_end(name.front()) &&
                    is_name_end(name.back()) &&
                    std::ranges::all_of(name, [](char c) { return is_name_end(c) || c == ' '; });
  if (fits) return;
  throw core::Error(core::Code::kInvalidArgument,
                    "name '" + std::string(name.substr(0, 2 * kLongestName)) + "' is not valid")
      .with_field("/name",
                  "must have 1 to 127 letters, digits, '-', '_' or spaces, and neither begin nor end with a space");
}

}  // namespace backstay::model
