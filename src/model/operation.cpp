#include "model/operation.h"

#include "model/words.h"

namespace backstay::model {
namespace {

constexpr Words<OperationState, 5> kStates{{{OperationState::kQueued, "queued"},
                                            {OperationState::kRunning, "running"},
                                            {OperationState::kSucceeded, "succeeded"},
                                            {OperationState::kFailed, "failed"},
                                            {OperationState::kCancelled, "cancelled"}}};

}  // namespace

std::string_view to_text(OperationState state) { return word_of(kStates, state); }

OperationState operation_state_from_text(std::string_view text) { return value_of(kStates, text, "operation state"); }

bool is_terminal(OperationState state) { return state != OperationState::kQueued && state != OperationState::kRunning; }

}  // namespace backstay::model
