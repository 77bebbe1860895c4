#include "model/webhook.h"

#include "model/words.h"

namespace backstay::model {
namespace {

constexpr Words<DeliveryState, 3> kStates{{{DeliveryState::kPending, "pending"},
                                           {DeliveryState::kDelivered, "delivered"},
                                           {DeliveryState::kFailed, "failed"}}};

}  // namespace

std::string_view to_text(DeliveryState state) { return word_of(kStates, state); }
DeliveryState delivery_state_from_text(std::string_view text) { return value_of(kStates, text, "delivery state"); }

}  // namespace backstay::model
