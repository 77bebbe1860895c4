// Private to repository: what does not authenticate is read once more before it is called damaged, since it may have
// been changed on its way here.
#pragma once

#include "core/error.h"
#include "repository/json_fields.h"

namespace backstay::repository::detail {

/// `read` asks the store each time that it is called.
template <typename Read>
auto read_again_if_damaged(const Read& read) {
  try {
    return read();
  } catch (const core::Error& error) {
    if (!is_damaged(error)) throw;
  }
  return read();
}

}  // namespace backstay::repository::detail
