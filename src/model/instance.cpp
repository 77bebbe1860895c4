#include "model/instance.h"

#include "model/words.h"

namespace backstay::model {
namespace {

constexpr Words<InstanceState, 5> kStates{{{InstanceState::kPreparing, "preparing"},
                                           {InstanceState::kServing, "serving"},
                                           {InstanceState::kStopped, "stopped"},
                                           {InstanceState::kFailed, "failed"},
                                           {InstanceState::kRemoved, "removed"}}};

}  // namespace

std::string_view to_text(InstanceState state) { return word_of(kStates, state); }

InstanceState instance_state_from_text(std::string_view text) { return value_of(kStates, text, "instance state"); }

}  // namespace backstay::model
