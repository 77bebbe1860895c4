#include "backup/wal_uploader.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "core/log.h"

namespace backstay::backup {
namespace {

constexpr auto kPoll = std::chrono::milliseconds(100);

}  // namespace

/// Everything but the spool is guarded by the uploader's mutex.
struct WalUploader::Segment {
  Segment(Spool& spool, postgres::SegmentName name, std::uint64_t size)
      : from(spool), file(spool.take(name)), start(postgres::segment_start(name.segment, size)) {
    whole.timeline = name.timeline.value;
    whole.segment = name.segment;
    uncut = whole;
  }
  ~Segment() { from.give_back(std::move(file)); }
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;

  Spool& from;
  std::unique_ptr<SpoolSegment> file;
  const postgres::Lsn start;
  std::uint64_t filled = 0;
  bool complete = false;  // full: goes up whole
  bool ended = false;     // nothing follows: goes up as a tail at once
  bool busy = false;
  bool stored = false;
  TailPlan tails;
  /// The index of each stored tail, by its beginning, and of what no tail holds yet.
  std::map<std::uint64_t, repository::SegmentIndex> tail_indexes;
  repository::SegmentIndex uncut;
  repository::SegmentIndex whole;
  core::SteadyTime waiting_since;

  [[nodiscard]] std::uint64_t stored_to() const { return stored ? filled : tails.stored_to(); }
};

WalUploader::WalUploader(const Environment& environment, repository::WalStore& wal, WalUploaderConfig config)
    : environment_(environment),
      wal_(wal),
      config_(std::move(config)),
      spool_(config_.spool_directory, wal_.segment_size()) {
  for (unsigned i = 0; i < config_.threads; ++i) {
    threads_.emplace_back([this](const std::stop_token& stop) { upload(stop); });
  }
}

WalUploader::~WalUploader() {
  for (auto& thread : threads_) thread.request_stop();
  changed_.notify_all();
}

void WalUploader::begin(postgres::TimelineId timeline, postgres::Lsn at, postgres::Lsn stored) {
  begun_ = true;
  const core::LockGuard lock(mutex_);
  timeline_ = timeline;
  begun_at_ = at;
  received_ = at;
  known_stored_ = stored;
}

void WalUploader::open_segment(postgres::Lsn at) {
  postgres::SegmentName name;
  {
    const core::LockGuard lock(mutex_);
    name = {timeline_, postgres::segment_of(at, wal_.segment_size())};
  }
  filling_ = std::make_shared<Segment>(spool_, name, wal_.segment_size());
  const core::LockGuard lock(mutex_);
  segments_.push_back(filling_);
}

void WalUploader::append(core::ByteSpan bytes, const std::function<repository::SegmentIndex()>& make_index) {
  if (!begun_) throw core::Error(core::Code::kInternal, "WAL came of which it is not known where it belongs");
  if (!filling_) open_segment(received());
  filling_->file->write(filled_part().size(), bytes);
  const repository::SegmentIndex index = make_index();
  const core::LockGuard lock(mutex_);
  if (filling_->filled == filling_->stored_to()) filling_->waiting_since = environment_.clock.steady_now();
  filling_->filled += bytes.size();
  filling_->uncut.merge(index);
  filling_->whole.merge(index);
  received_ = filling_->start + filling_->filled;
  if (filling_->filled == filling_->file->size()) {
    filling_->complete = true;
    filling_.reset();
  } else if (filling_->start + filling_->stored_to() >= wanted_) {
    return;  // it will be a tail in its time, which the threads look at anyway
  }
  changed_.notify_all();
}

core::ByteSpan WalUploader::filled_part() const {
  if (!filling_) return {};
  const core::LockGuard lock(mutex_);
  return filling_->file->bytes(0, filling_->filled);
}

void WalUploader::end() {
  begun_ = false;
  const core::LockGuard lock(mutex_);
  if (filling_) {
    filling_->ended = true;
    filling_->stored = !filling_->busy && filling_->filled == filling_->stored_to();
  }
  filling_.reset();
  while (!segments_.empty() && segments_.front()->stored) segments_.pop_front();
  changed_.notify_all();
}

bool WalUploader::wait_for_room(core::Duration wait) {
  const core::LockGuard lock(mutex_);
  if (segments_.size() >= config_.spool_segments) changed_.wait_for(mutex_, wait);
  return segments_.size() < config_.spool_segments;
}

void WalUploader::want(postgres::Lsn lsn) {
  const core::LockGuard lock(mutex_);
  wanted_ = std::max(wanted_, lsn);
  changed_.notify_all();
}

bool WalUploader::wait_until_stored(postgres::Lsn lsn, core::Duration deadline, std::stop_token stop) {
  const core::SteadyTime end = environment_.clock.steady_now() + deadline;
  const core::LockGuard lock(mutex_);
  wanted_ = std::max(wanted_, lsn);
  changed_.notify_all();
  while (stored_now() < lsn) {
    if (stop.stop_requested() || environment_.clock.steady_now() >= end) return false;
    changed_.wait_for(mutex_, kPoll);
  }
  return true;
}

postgres::Lsn WalUploader::stored_now() const {
  const postgres::Lsn here = segments_.empty() ? received_ : segments_.front()->start + segments_.front()->stored_to();
  // What was begun before may still be on its way: nothing that follows it counts until then.
  if (!segments_.empty() &&
      (segments_.front()->file->name().timeline != timeline_ || segments_.front()->start < begun_at_)) {
    return here;
  }
  return std::max(here, std::min(known_stored_, received_));
}

postgres::Lsn WalUploader::stored() const {
  const core::LockGuard lock(mutex_);
  return stored_now();
}

postgres::Lsn WalUploader::received() const {
  const core::LockGuard lock(mutex_);
  return received_;
}

WalUploaderStatus WalUploader::status() const {
  const core::LockGuard lock(mutex_);
  WalUploaderStatus status = status_;
  status.received = received_;
  status.stored = stored_now();
  for (const auto& segment : segments_) {
    if (segment->filled == segment->stored_to()) continue;
    status.waiting_since = segment->waiting_since;
    break;
  }
  return status;
}

void WalUploader::upload(const std::stop_token& stop) {
  // Kept while one follows the other; a stream at rest needs no memory for it.
  std::unique_ptr<repository::ContainerWriter> writer;
  while (!stop.stop_requested()) {
    std::optional<Job> job;
    {
      const core::LockGuard lock(mutex_);
      job = next_job();
      if (!job && !changed_.wait_for(mutex_, kPoll)) writer.reset();
    }
    if (!job) continue;
    if (!writer) writer.reset(new repository::ContainerWriter(wal_.writer()));
    attempt(*job, *writer, stop);
  }
}

bool WalUploader::upload_next(const std::stop_token& stop) {
  std::optional<Job> job;
  {
    const core::LockGuard lock(mutex_);
    job = next_job();
  }
  if (!job) return false;
  repository::ContainerWriter once = wal_.writer();
  attempt(*job, once, stop);
  return true;
}

void WalUploader::attempt(const Job& job, repository::ContainerWriter& writer, const std::stop_token& stop) {
  try {
    perform(job, writer);
    note_success(job);
  } catch (...) {
    environment_.clock.wait(stop, note_failure(job, core::as_error(std::current_exception())));
  }
}

std::optional<WalUploader::Job> WalUploader::next_job() {
  for (const auto& segment : segments_) {
    if (segment->busy || segment->stored) continue;
    if (segment->complete) {
      segment->busy = true;
      return Job{.segment = segment, .whole = true, .tail = {}, .index = segment->whole, .cut = {}};
    }
    if (auto job = tail_job(segment)) return job;
  }
  return std::nullopt;
}

std::optional<WalUploader::Job> WalUploader::tail_job(const std::shared_ptr<Segment>& segment) {
  const std::uint64_t stored_to = segment->tails.stored_to();
  if (segment->filled == stored_to) return std::nullopt;
  const core::SteadyTime now = environment_.clock.steady_now();
  const bool wanted = segment->ended || segment->start + stored_to < wanted_;
  if (!wanted && now - segment->waiting_since < config_.tail_interval) return std::nullopt;
  Job job{.segment = segment, .whole = false, .tail = segment->tails.next(segment->filled), .index = {}, .cut = now};
  job.index.timeline = segment->whole.timeline;
  job.index.segment = segment->whole.segment;
  for (auto it = segment->tail_indexes.lower_bound(job.tail.from); it != segment->tail_indexes.end(); ++it) {
    job.index.merge(it->second);
  }
  job.index.merge(segment->uncut);
  segment->uncut = {};
  segment->uncut.timeline = segment->whole.timeline;
  segment->uncut.segment = segment->whole.segment;
  segment->busy = true;
  return job;
}

void WalUploader::perform(const Job& job, repository::ContainerWriter& writer) {
  const SpoolSegment& spool = *job.segment->file;
  if (job.whole) {
    wal_.put_segment(spool.bytes(0, spool.size()), job.index, config_.lease_epoch, writer);
  } else {
    wal_.put_tail(spool.bytes(job.tail.from, job.tail.to), job.tail.from, job.index, config_.lease_epoch);
  }
}

void WalUploader::note_success(const Job& job) {
  std::vector<TailPlan::Tail> replaced;
  {
    const core::LockGuard lock(mutex_);
    Segment& segment = *job.segment;
    segment.busy = false;
    if (job.whole) {
      segment.stored = true;
      ++status_.segments_stored;
    } else {
      replaced = segment.tails.stored(job.tail);
      segment.tail_indexes.erase(segment.tail_indexes.lower_bound(job.tail.from), segment.tail_indexes.end());
      segment.tail_indexes[job.tail.from] = job.index;
      segment.waiting_since = job.cut;
      segment.stored = segment.ended && segment.filled == job.tail.to;
      ++status_.tails_stored;
    }
    while (!segments_.empty() && segments_.front()->stored) segments_.pop_front();
    retry_ = {};
    status_.store_away_since.reset();
    status_.last_error.clear();
    changed_.notify_all();
  }
  if (replaced.empty()) return;
  try {
    // The new tail reaches further than any of these, so it is never among what goes.
    wal_.remove_tails(job.index.timeline, job.index.segment, replaced.front().from, replaced.back().to);
  } catch (const core::Error& e) {
    // They go with the others when the segment is whole.
    core::log_debug("wal.tails_not_removed", e.what());
  }
}

core::Duration WalUploader::note_failure(const Job& job, const core::Error& error) {
  const core::LockGuard lock(mutex_);
  Segment& segment = *job.segment;
  segment.busy = false;
  if (!job.whole) {
    // What had been cut off comes before what arrived meanwhile.
    repository::SegmentIndex before = job.index;
    for (auto it = segment.tail_indexes.lower_bound(job.tail.from); it != segment.tail_indexes.end();) {
      it = segment.tail_indexes.erase(it);
    }
    before.merge(segment.uncut);
    segment.uncut = before;
  }
  if (!status_.store_away_since) {
    status_.store_away_since = environment_.clock.now();
    core::log_warning("wal.store_away", "WAL cannot be stored; the server keeps it meanwhile",
                      {{"instance", wal_.instance()}, {"error", error.what()}});
  }
  status_.last_error = error.what();
  retry_ = std::clamp(retry_ * 2, config_.first_retry, config_.longest_retry);
  return retry_;
}

}  // namespace backstay::backup
