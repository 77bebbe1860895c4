#include "backup/change_keeper.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "core/log.h"
#include "repository/page_change_objects.h"

namespace backstay::backup {
namespace {

/// An object tells of so many segments, or of as many pages as take so much memory: what a crash loses of the map is
/// read from the stored WAL by the next backup.
constexpr std::uint64_t kSegmentsInObject = 64;
constexpr std::size_t kMemoryOfObject = std::size_t{4} << 20;
/// While the store is away. Eight bytes a page at worst, one bit where they are dense.
constexpr std::size_t kMostMemory = std::size_t{48} << 20;
constexpr core::Duration kRetry = std::chrono::seconds(5);
constexpr auto kPoll = std::chrono::milliseconds(50);

}  // namespace

ChangeKeeper::ChangeKeeper(const Environment& environment, repository::Repository& repository, std::string instance,
                           std::uint64_t segment_size, std::uint64_t epoch)
    : environment_(environment),
      repository_(repository),
      instance_(std::move(instance)),
      segment_size_(segment_size),
      epoch_(epoch),
      tracker_(segment_size) {}

void ChangeKeeper::look() {
  const std::uint64_t wanted = wanted_;
  if (wanted != 0 && tracker_.reached().value_or(postgres::Lsn{}).value >= wanted) return cut();
  const std::uint64_t length = tracker_.length();
  if (length >= looked_at_ && length - looked_at_ < segment_size_) return;
  looked_at_ = length;
  if (length >= kSegmentsInObject * segment_size_ || tracker_.memory() >= kMemoryOfObject) cut();
}

void ChangeKeeper::cut() {
  auto stretches = tracker_.take();
  looked_at_ = 0;
  const postgres::Lsn reached = tracker_.reached().value_or(postgres::Lsn{});
  const core::LockGuard lock(mutex_);
  cut_at_ = reached;
  if (wanted_ <= reached.value) wanted_ = 0;
  for (ChangedStretch& stretch : stretches) hand_over(std::move(stretch));
  changed_.notify_all();
}

void ChangeKeeper::hand_over(ChangedStretch stretch) {
  if (pending_.size() > 1) {
    ChangedStretch& last = *pending_.back();
    if (last.timeline == stretch.timeline && last.from <= stretch.from && last.to >= stretch.from) {
      last.to = std::max(last.to, stretch.to);
      last.changes.merge(stretch.changes);
      if (last.changes.memory() < kMostMemory) return;
      last.changes = {};
      last.changes.note_unproven("more pages changed while the store took nothing than fit into memory");
      return;
    }
  }
  pending_.push_back(std::make_shared<ChangedStretch>(std::move(stretch)));
}

bool ChangeKeeper::is_pending(postgres::Lsn lsn) const {
  for (const auto& stretch : pending_) {
    if (stretch->from < lsn) return true;
  }
  return false;
}

/// Only the parsing thread changes them.
std::vector<ChangedStretch> ChangeKeeper::held() const {
  std::vector<std::shared_ptr<ChangedStretch>> pending;
  {
    const core::LockGuard lock(mutex_);
    pending.assign(pending_.begin(), pending_.end());
  }
  std::vector<ChangedStretch> result;
  for (const auto& stretch : pending) result.push_back(*stretch);
  return result;
}

void ChangeKeeper::restore(std::vector<ChangedStretch> stretches) {
  const core::LockGuard lock(mutex_);
  for (ChangedStretch& stretch : stretches) pending_.push_back(std::make_shared<ChangedStretch>(std::move(stretch)));
}

bool ChangeKeeper::holds(postgres::Lsn lsn) const {
  const core::LockGuard lock(mutex_);
  return is_pending(lsn);
}

bool ChangeKeeper::put(bool at_once) {
  const std::lock_guard one(put_mutex_);
  if (!at_once && environment_.clock.steady_now() < retry_at_) return false;
  while (true) {
    std::shared_ptr<ChangedStretch> first;
    {
      const core::LockGuard lock(mutex_);
      if (pending_.empty()) return true;
      first = pending_.front();
    }
    try {
      repository::put_page_changes(
          repository_, instance_,
          {.timeline = first->timeline.value, .from = first->from.value, .to = first->to.value, .epoch = epoch_},
          first->changes.encode());
    } catch (const std::exception& e) {
      core::log_debug("wal.changes_not_stored", e.what(), {{"instance", instance_}});
      retry_at_ = environment_.clock.steady_now() + kRetry;
      return false;
    }
    ++stored_;
    const core::LockGuard lock(mutex_);
    pending_.pop_front();
  }
}

bool ChangeKeeper::store(postgres::Lsn lsn, core::Duration deadline, const std::stop_token& stop) {
  const core::SteadyTime end = environment_.clock.steady_now() + deadline;
  {
    const core::LockGuard lock(mutex_);
    if (cut_at_ < lsn) wanted_ = std::max<std::uint64_t>(wanted_, lsn.value);
    while (cut_at_ < lsn) {
      if (stop.stop_requested() || environment_.clock.steady_now() >= end) return false;
      changed_.wait_for(mutex_, kPoll);
    }
  }
  put(true);
  const core::LockGuard lock(mutex_);
  return !is_pending(lsn);
}

}  // namespace backstay::backup
