// What a caller means by If-Match: that it changes what it has seen.
#pragma once

#include <functional>

namespace backstay::control {

/// Called in the write transaction with the object as it is then; throws Error(precondition_failed) if the caller meant
/// it otherwise. Empty: whatever it is.
template <typename Object>
using Precondition = std::function<void(const Object&)>;

template <typename Object>
void require_precondition(const Precondition<Object>& precondition, const Object& object) {
  if (precondition) precondition(object);
}

}  // namespace backstay::control
