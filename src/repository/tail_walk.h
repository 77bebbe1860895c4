// Private to repository: reading the tails of a segment that is not whole.
#pragma once

#include <cstdint>
#include <exception>
#include <vector>

#include "core/error.h"
#include "repository/json_fields.h"
#include "repository/wal_store.h"

namespace backstay::repository::detail {

struct WalkedTails {
  std::uint64_t end = 0;
  bool vanished = false;      // one was not there any more, and the walk ended
  std::exception_ptr damage;  // what kept it from reaching as far as the names promise
};

/// Calls `visit` for the tails that lead from the segment's start without a gap, each reaching further than the one
/// before; it returns false if the tail is not there any more. One that it finds damaged is passed by if there are
/// others.
template <typename Visit>
WalkedTails walk_tails(const StoredSegment& stored, const Visit& visit) {
  WalkedTails walked;
  std::vector<const StoredTail*> tails;
  for (const StoredTail& tail : stored.tails) tails.push_back(&tail);
  for (;;) {
    const StoredTail* best = nullptr;
    for (const StoredTail* tail : tails) {
      if (tail->from <= walked.end && tail->to > walked.end && (best == nullptr || tail->to > best->to)) best = tail;
    }
    if (best == nullptr) break;
    try {
      if (!visit(*best)) {
        walked.vanished = true;
        break;
      }
      walked.end = best->to;
    } catch (const core::Error& error) {
      if (!is_damaged(error)) throw;
      walked.damage = std::current_exception();
      std::erase(tails, best);
    }
  }
  // What others made up for is no damage to the reader.
  if (walked.damage && walked.end == tail_chain(stored).back().to) walked.damage = nullptr;
  return walked;
}

}  // namespace backstay::repository::detail
