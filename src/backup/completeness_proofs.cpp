#include "backup/completeness_proofs.h"

#include <algorithm>
#include <chrono>

namespace backstay::backup {
namespace {

constexpr std::size_t kProofsKept = 64;
constexpr core::Duration kProofMargin = std::chrono::seconds(1);

}  // namespace

void CompletenessProofs::note(const postgres::Keepalive& keepalive, postgres::TimelineId timeline,
                              postgres::Lsn received) {
  if (keepalive.server_end < flushed_ || keepalive.server_end > received) return;
  if (!answers_.empty() && keepalive.server_time < answers_.back()) answers_.clear();
  answers_.push_back(keepalive.server_time);
  const core::Timestamp latest = keepalive.server_time - kProofMargin;
  while (answers_.size() > 1 && answers_[1] <= latest) answers_.pop_front();
  if (answers_.front() > latest) return;
  if (proofs_.size() == kProofsKept) proofs_.pop_back();
  proofs_.push_back({timeline, keepalive.server_end, answers_.front()});
}

std::optional<ArchiveEnd> CompletenessProofs::take(postgres::Lsn stored) {
  std::optional<ArchiveEnd> proven;
  for (; !proofs_.empty() && proofs_.front().lsn <= stored; proofs_.pop_front()) proven = proofs_.front();
  return proven;
}

void CompletenessProofs::forget() { *this = {}; }

}  // namespace backstay::backup
