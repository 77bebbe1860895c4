// Serves WAL to a server in recovery: fetches segments ahead and lays them where the restore helper only renames them.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "backup/environment.h"
#include "core/error.h"
#include "os/process.h"
#include "postgres/lsn.h"
#include "repository/repository.h"

namespace backstay::backup {

struct RecoveryWalServerConfig {
  std::string instance = {};
  /// `<instance>/recovery`: the socket is `fetch.sock` in it, segments are laid down in `wal/`.
  std::filesystem::path directory = {};
  std::optional<os::Identity> identity = {};
  /// The branch: the timelines that exist for this recovery end with this one.
  postgres::TimelineId timeline = {};
  /// The WAL that the plan counts on: in this range "not there" is an error, behind it the truth.
  postgres::Lsn from = {};
  postgres::Lsn to = {};
  /// Where replay stops at the latest.
  std::optional<postgres::Lsn> stop = {};
  std::uint64_t segment_size = postgres::kDefaultSegmentSize;
  /// Segments fetched ahead, and how many at a time.
  unsigned ahead = 8;
  unsigned workers = 2;
};

/// Answers the helper's requests on its own threads from construction to destruction.
///   ready    the file lies in `wal/` under its name, zero-padded to full size if the archive holds only its beginning
///   missing  it does not exist on this branch, known for certain
///   error …  it cannot be known: the store failed, or an object is damaged; the helper's exit status then stops
///            recovery instead of letting it promote short of its target
class RecoveryWalServer {
 public:
  RecoveryWalServer(const Environment& environment, repository::Repository& repository, RecoveryWalServerConfig config);
  ~RecoveryWalServer();
  RecoveryWalServer(const RecoveryWalServer&) = delete;
  RecoveryWalServer& operator=(const RecoveryWalServer&) = delete;

  /// Bytes of WAL handed over so far.
  [[nodiscard]] std::uint64_t bytes_served() const;
  /// The last "error" answer, if there was one: why a recovery stopped.
  [[nodiscard]] std::optional<core::Error> last_error() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace backstay::backup
