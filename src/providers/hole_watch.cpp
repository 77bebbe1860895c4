#include "providers/hole_watch.h"

#include <algorithm>

namespace backstay::providers {

bool is_behind_newest(const repository::WalHole& hole, const repository::ChainSurvey& seen) {
  return seen.newest_base_start && (hole.last + 1) * seen.segment_size > *seen.newest_base_start;
}

HoleWatch::Verdict HoleWatch::judge(const repository::ChainSurvey& seen) {
  Verdict verdict;
  const bool is_first = !known_;
  if (is_first) known_.emplace();
  for (const auto& hole : seen.holes) {
    const bool mends_itself = seen.newest_base_start && !is_behind_newest(hole, seen);
    if (is_first && !mends_itself) {
      verdict.is_sure = false;
      continue;
    }
    // Behind what was stored at the look before nothing could be lost: segments are stored out of order, and of what
    // was never stored the receiver tells.
    if (hole.first >= stored_to_) known_->push_back(hole);
    if (std::ranges::find(*known_, hole) == known_->end()) verdict.lost.push_back(hole);
  }
  stored_to_ = seen.segment_size == 0 ? 0 : seen.end_lsn / seen.segment_size;
  return verdict;
}

}  // namespace backstay::providers
