// Brings received WAL into the store: whole segments, and tails of the one that is filling.
//
//   receiver ── append ──> spool segments ──> uploading threads ──> WalStore
//
// The store being away is no error here: uploads are tried again with back-off until it is back.
#pragma once

#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "backup/environment.h"
#include "backup/spool_segment.h"
#include "backup/tail_plan.h"
#include "core/error.h"
#include "core/mutex.h"
#include "core/time.h"
#include "postgres/lsn.h"
#include "repository/wal_store.h"

namespace backstay::backup {

struct WalUploaderConfig {
  std::filesystem::path spool_directory = {};
  unsigned spool_segments = 8;
  /// Without any, the caller uploads by upload_next.
  unsigned threads = 3;
  std::uint64_t lease_epoch = 1;
  core::Duration tail_interval = std::chrono::seconds(2);
  core::Duration first_retry = std::chrono::seconds(1);
  core::Duration longest_retry = std::chrono::seconds(30);
};

struct WalUploaderStatus {
  postgres::Lsn received = {};
  postgres::Lsn stored = {};
  /// Since when the oldest byte that is not stored has been here.
  std::optional<core::SteadyTime> waiting_since = {};
  std::optional<core::Timestamp> store_away_since = {};
  std::string last_error = {};
  std::uint64_t segments_stored = 0;
  std::uint64_t tails_stored = 0;
};

/// One thread receives (the first group of functions); any thread asks.
class WalUploader {
 public:
  /// `stored`: what the store holds already. `wal` and the environment outlive it.
  WalUploader(const Environment& environment, repository::WalStore& wal, WalUploaderConfig config);
  /// Stops at once; what is not stored is dropped.
  ~WalUploader();
  WalUploader(const WalUploader&) = delete;
  WalUploader& operator=(const WalUploader&) = delete;

  /// Begins at the start of a segment; everything before `stored` is known to be in the store.
  void begin(postgres::TimelineId timeline, postgres::Lsn at, postgres::Lsn stored);
  /// Takes bytes that follow what came before and lie within one segment; `make_index` makes their index once they are
  /// written. If it throws nothing was taken. Throws internal_error before begin() and after end().
  void append(core::ByteSpan bytes, const std::function<repository::SegmentIndex()>& make_index);
  /// What is here of the segment that is filling, for the receiving thread until its next call.
  [[nodiscard]] core::ByteSpan filled_part() const;
  /// What was begun ends here: the last segment stays one of tails. `begin` follows.
  void end();
  /// False if the spool is still full after `wait`.
  bool wait_for_room(core::Duration wait);

  /// Performs the next upload that is due, failed or not; false if none is. For a caller without threads.
  bool upload_next(const std::stop_token& stop);
  /// Uploads without waiting for the interval, until everything before `lsn` is stored; false if the deadline or the
  /// stop came first.
  bool wait_until_stored(postgres::Lsn lsn, core::Duration deadline, std::stop_token stop);
  /// The same without waiting.
  void want(postgres::Lsn lsn);
  [[nodiscard]] WalUploaderStatus status() const;
  [[nodiscard]] postgres::Lsn stored() const;
  [[nodiscard]] postgres::Lsn received() const;

 private:
  struct Segment;
  /// One upload: the whole segment, or its tail.
  struct Job {
    std::shared_ptr<Segment> segment;
    bool whole = false;
    TailPlan::Tail tail;
    repository::SegmentIndex index;
    core::SteadyTime cut;
  };
  void upload(const std::stop_token& stop);
  void attempt(const Job& job, repository::ContainerWriter& writer, const std::stop_token& stop);
  std::optional<Job> next_job() REQUIRES(mutex_);
  std::optional<Job> tail_job(const std::shared_ptr<Segment>& segment) REQUIRES(mutex_);
  void perform(const Job& job, repository::ContainerWriter& writer);
  void note_success(const Job& job) EXCLUDES(mutex_);
  /// How long to wait before the next try.
  core::Duration note_failure(const Job& job, const core::Error& error) EXCLUDES(mutex_);
  postgres::Lsn stored_now() const REQUIRES(mutex_);
  void open_segment(postgres::Lsn at) EXCLUDES(mutex_);

  const Environment environment_;
  repository::WalStore& wal_;
  const WalUploaderConfig config_;
  Spool spool_;
  mutable core::Mutex mutex_;
  mutable core::Condition changed_;
  std::deque<std::shared_ptr<Segment>> segments_ GUARDED_BY(mutex_);
  postgres::TimelineId timeline_ GUARDED_BY(mutex_);
  postgres::Lsn begun_at_ GUARDED_BY(mutex_);
  postgres::Lsn received_ GUARDED_BY(mutex_);
  postgres::Lsn known_stored_ GUARDED_BY(mutex_);
  postgres::Lsn wanted_ GUARDED_BY(mutex_);
  core::Duration retry_ GUARDED_BY(mutex_){};
  WalUploaderStatus status_ GUARDED_BY(mutex_);
  /// The receiving thread's own.
  bool begun_ = false;
  std::shared_ptr<Segment> filling_;
  std::vector<std::jthread> threads_ = {};
};

}  // namespace backstay::backup
