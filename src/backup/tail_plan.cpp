#include "backup/tail_plan.h"

#include <algorithm>

namespace backstay::backup {

TailPlan::Tail TailPlan::next(std::uint64_t to) const {
  Tail tail{.from = stored_to(), .to = to, .level = 0};
  for (auto end = tails_.rbegin();;) {
    const auto run_end = std::find_if(end, tails_.rend(), [&](const Tail& t) { return t.level != tail.level; });
    if (run_end - end < static_cast<std::ptrdiff_t>(kFanOut - 1)) return tail;
    tail.from = (run_end - 1)->from;
    ++tail.level;
    end = run_end;
  }
}

std::vector<TailPlan::Tail> TailPlan::stored(const Tail& tail) {
  const auto first = std::find_if(tails_.begin(), tails_.end(), [&](const Tail& t) { return t.from >= tail.from; });
  std::vector<Tail> replaced(first, tails_.end());
  tails_.erase(first, tails_.end());
  tails_.push_back(tail);
  return replaced;
}

}  // namespace backstay::backup
