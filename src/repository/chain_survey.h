// What the backups of an instance and the WAL between them need and the store does not have: found by listing, without
// reading what is there.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "core/time.h"
#include "repository/pack_listing.h"
#include "repository/repository.h"

namespace backstay::repository {

struct MissingObject {
  /// The backup that needs it.
  std::string backup = {};
  std::string key = {};
};

/// Segments without which WAL cannot be read from one side of them to the other.
struct WalHole {
  std::uint64_t first = 0;  // segment numbers
  std::uint64_t last = 0;
  friend bool operator==(const WalHole&, const WalHole&) = default;
};

struct ChainSurvey {
  std::vector<MissingObject> missing = {};
  /// Between the oldest physical backup's start and the end of the WAL, in order.
  std::vector<WalHole> holes = {};
  std::uint64_t segment_size = 0;  // 0 while there is no physical backup
  /// Where WAL ends in the archive: on the newest timeline.
  std::uint32_t timeline = 0;
  std::uint64_t end_lsn = 0;
  /// Of the newest physical backup, and of the newest of which nothing is missing.
  std::optional<std::uint64_t> newest_start = {};
  std::optional<std::uint64_t> newest_base_start = {};
  /// Backups of which nothing is missing although their records say so.
  std::vector<std::string> whole_again = {};
  /// The latest time that the store has given an object of the instance.
  std::optional<core::Timestamp> newest_object = {};
};

/// What a problem begins with in the record of a backup that needs an object which is missing.
constexpr std::string_view kMissingObject = "missing from the store: ";

/// One thread at a time. It remembers what cannot change, so that a survey costs one listing of the instance, and one
/// of the packs that is shared, for a thousand objects a request.
class ChainSurveyor {
 public:
  /// All outlive it. The listing must be of the same repository.
  ChainSurveyor(Repository& repository, PackListing& packs, std::string instance);

  /// Throws the store's errors, and cancelled.
  ChainSurvey survey(const std::stop_token& stop);
  /// The record upon which the last survey judged the backup; nullptr if it knows none.
  [[nodiscard]] const BackupRecord* find(const std::string& backup) const {
    const auto known = known_.find(backup);
    return known == known_.end() ? nullptr : &known->second.record;
  }
  /// The backup's record was written anew.
  void forget(const std::string& backup) { known_.erase(backup); }

 private:
  struct Seen;
  struct Known {
    BackupRecord record = {};
    /// Those that were stored when the record was read.
    std::set<ObjectId> attempts = {};
    bool packs_known = false;
  };
  Seen list() const;
  /// True if a manifest was read.
  bool learn(const Seen& seen, const std::stop_token& stop);
  void check_records(const Seen& seen, ChainSurvey& survey);
  void check_packs(core::SteadyTime since, ChainSurvey& survey, const std::stop_token& stop);
  /// True if all of them are needed.
  bool find_needy(const std::vector<ObjectId>& absent, ChainSurvey& survey, const std::stop_token& stop);
  void check_wal(const Seen& seen, ChainSurvey& survey) const;
  void judge_backups(ChainSurvey& survey) const;
  [[nodiscard]] std::vector<ObjectId> packs_of(const BackupRecord& record) const;
  [[nodiscard]] bool is_stored(const BackupRecord& record) const;

  Repository& repository_;
  PackListing& packs_;
  const std::string instance_;
  std::map<std::string, Known> known_;
  /// What all of them need, sorted.
  std::vector<ObjectId> needed_;
};

}  // namespace backstay::repository
