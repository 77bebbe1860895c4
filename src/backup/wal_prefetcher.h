// Fetches the WAL of a recovery ahead of its replay, and lays it down as files.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "backup/environment.h"
#include "backup/recovery_wal_server.h"
#include "core/error.h"
#include "core/mutex.h"
#include "postgres/timeline_history.h"
#include "postgres/wal_parser.h"
#include "repository/wal_store.h"

namespace backstay::backup {

/// What is known of a file that the server asked for.
struct FetchAnswer {
  enum class Kind { kReady, kMissing, kUnknown };
  Kind kind = Kind::kUnknown;
  std::string error;                                // for kUnknown
  core::Code code = core::Code::kStoreUnreachable;  // recovery_failed: no further try can help
};

class WalPrefetcher {
 public:
  /// Files are laid into `<config.directory>/wal`, which exists. Everything outlives it.
  WalPrefetcher(const Environment& environment, repository::Repository& repository,
                const RecoveryWalServerConfig& config);
  ~WalPrefetcher();
  WalPrefetcher(const WalPrefetcher&) = delete;
  WalPrefetcher& operator=(const WalPrefetcher&) = delete;

  /// Waits until the file lies there, or is known not to exist, or cannot be known. Segments behind it are fetched
  /// meanwhile and afterwards.
  FetchAnswer fetch(const std::string& name, core::Duration deadline, const std::stop_token& stop);
  [[nodiscard]] std::uint64_t bytes_served() const;

 private:
  struct Piece {
    /// Fetched ones are checked in their order before they may be handed out.
    enum class State { kWanted, kFetching, kFetched, kChecking, kDone } state = State::kWanted;
    FetchAnswer answer;
  };
  FetchAnswer fetch_segment(postgres::SegmentName name, core::Duration deadline, const std::stop_token& stop)
      EXCLUDES(mutex_);
  FetchAnswer fetch_history(postgres::TimelineId timeline, const std::string& name);
  /// Replay of a tablespace's creation would link to the path that it had at the source, which may be the source's own
  /// directory on this machine: nullopt, or why the segment may not be handed out.
  std::optional<std::string> find_tablespace(postgres::SegmentName name);
  /// The timeline that the server will try first for a segment.
  [[nodiscard]] postgres::TimelineId timeline_of(postgres::SegmentNumber segment) const;
  [[nodiscard]] bool is_needed(postgres::SegmentName name) const;
  static bool is_under_way(Piece::State state) {
    return state == Piece::State::kFetching || state == Piece::State::kChecking;
  }
  /// The one that the plan ends in: the server asks for it again and again.
  [[nodiscard]] bool is_last(postgres::SegmentName name) const;
  void want(postgres::SegmentName name) REQUIRES(mutex_);
  bool is_done(postgres::SegmentName name) REQUIRES(mutex_);
  /// Those of them that are needed.
  void want_from(postgres::SegmentNumber first, unsigned count) REQUIRES(mutex_);
  void forget_before(postgres::SegmentNumber segment) REQUIRES(mutex_);
  void work(const std::stop_token& stop);
  void check_in_order(const std::stop_token& stop);
  FetchAnswer check(postgres::SegmentName name);
  /// The first one that is not done, if it has been fetched.
  std::optional<postgres::SegmentName> next_to_check() REQUIRES(mutex_);
  FetchAnswer bring(postgres::SegmentName name);
  std::optional<core::Bytes> read(postgres::SegmentName name) EXCLUDES(mutex_);
  /// What the archive has of it, as of not long before.
  std::optional<repository::StoredSegment> listed(postgres::SegmentName name) EXCLUDES(mutex_);
  [[nodiscard]] std::optional<repository::StoredSegment> find_listed(postgres::SegmentNumber segment) const
      REQUIRES(mutex_);
  void lay_down(const std::string& name, core::ByteSpan content, std::uint64_t size) const;

  const Environment environment_;
  const RecoveryWalServerConfig& config_;
  repository::WalStore wal_;
  std::vector<postgres::TimelineSwitch> history_;
  /// Of the one thread that checks.
  postgres::WalParser parser_;
  std::optional<postgres::Lsn> tablespace_made_;
  mutable core::Mutex mutex_;
  core::Condition changed_;
  std::map<postgres::SegmentName, Piece> pieces_ GUARDED_BY(mutex_);
  std::uint64_t bytes_served_ GUARDED_BY(mutex_) = 0;
  /// Of segments [from, to) of one timeline.
  struct Listing {
    postgres::TimelineId timeline = {};
    postgres::SegmentNumber from = 0;
    postgres::SegmentNumber to = 0;
    std::vector<repository::StoredSegment> segments = {};
  };
  Listing listing_ GUARDED_BY(mutex_);
  /// The content of the last one, unless it is large.
  std::optional<core::Bytes> last_ GUARDED_BY(mutex_);
  std::vector<std::jthread> threads_;
};

}  // namespace backstay::backup
