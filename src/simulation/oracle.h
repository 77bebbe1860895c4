// What has been promised, and whether the store keeps it.
#pragma once

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "model/retention.h"
#include "repository/repository.h"
#include "repository/wal_store.h"
#include "simulation/bucket.h"
#include "simulation/model_server.h"

namespace backstay::simulation {

/// A promise was broken.
class Broken : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// What an attempt at a backup means to store.
struct Intent {
  std::vector<ModelFile> files = {};
  std::uint64_t start_lsn = 0;
};

struct Promise {
  std::map<std::int64_t, Intent> attempts = {};
  std::uint64_t start_lsn = 0;
  std::uint64_t stop_lsn = 0;
  core::Timestamp stop_time = {};
  core::Timestamp stored_time = {};
  /// It was said to be stored: from then on it must be there.
  bool stored = false;
  bool confirmed = false;
  /// Somebody decided that it goes.
  bool may_go = false;
  bool gone = false;

  [[nodiscard]] bool must_be_there() const { return stored && !may_go; }
};

class Oracle {
 public:
  explicit Oracle(const ModelServer& server) : server_(server) {}

  /// By backup id.
  std::map<std::string, Promise> promises = {};
  /// Where WAL was acknowledged to.
  std::uint64_t acknowledged = 0;

  /// Stretches of WAL that the receiver let go of without storing them: [from, to).
  std::vector<std::pair<std::uint64_t, std::uint64_t>> gaps = {};

  /// Where the WAL that somebody let go of ends: before it only what a backup needs by itself is promised.
  std::uint64_t wal_cut = 0;

  [[nodiscard]] bool has_confirmed_left() const;
  /// Where the oldest backup begins that must be there; 0 if there is none.
  [[nodiscard]] std::uint64_t oldest_start() const;
  /// Takes what the retention has decided for granted, after a look at whether it may. Throws Broken.
  void note(const model::RetentionQuestion& question, const model::RetentionDecision& decision);
  /// Reads everything back, as a machine that knows nothing but the key would. Throws Broken.
  void check(repository::Repository& repository, const Bucket& bucket);

 private:
  void check_backup(repository::Repository& repository, const Bucket& bucket, const std::string& id);
  /// `gaps`: those that it may have.
  void check_wal(repository::Repository& repository, const Bucket& bucket, std::uint64_t from, std::uint64_t to,
                 const std::vector<std::pair<std::uint64_t, std::uint64_t>>& gaps = {});
  void check_segment(repository::WalStore& wal, const Bucket& bucket, const repository::StoredSegment& stored);

  const ModelServer& server_;
  /// The objects that a segment was found whole in, and a backup; they never change.
  std::map<std::uint64_t, std::map<std::string, Bucket::Content>> seen_wal_;
  std::map<std::string, std::map<std::string, Bucket::Content>> seen_;
};

}  // namespace backstay::simulation
