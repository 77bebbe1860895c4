// Reading a backup back from the store: what makes it *confirmed*.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "repository/repository.h"

namespace backstay::repository {

enum class VerifyLevel {
  kAuthenticate,  // every stored byte of every object is read and its authentication checked
  kDecode,        // and every group is decompressed and has the size it should have
};

struct VerifyProblem {
  std::string object = {};   // its key in the store
  std::string what = {};     // "group 17 does not authenticate: the data was changed after it was written"
  std::string meaning = {};  // what it means for the data
};

struct VerifyReport {
  /// The attempt at the backup that was read; zero if its record could not be.
  ObjectId attempt{};
  std::uint64_t entries = 0;
  std::uint64_t files = 0;
  std::uint64_t packs = 0;
  std::uint64_t groups = 0;
  std::uint64_t wal_segments = 0;
  std::uint64_t bytes_read = 0;
  std::uint64_t data_size = 0;  // bytes of the files that the backup restores
  std::vector<VerifyProblem> problems = {};
  [[nodiscard]] bool ok() const { return problems.empty(); }
};

struct VerifyOptions {
  VerifyLevel level = VerifyLevel::kAuthenticate;
  unsigned threads = 2;
  /// Sorted. Packs that were read back for an earlier backup: of these only the group tables are read, which shows that
  /// they are there, whole in size, and hold what the manifest refers to.
  std::vector<ObjectId> known_packs = {};
  /// Objects checked so far and objects in all; called by one thread at a time.
  std::function<void(std::uint64_t done, std::uint64_t total)> progress = {};
};

/// Checks the record, the manifest, every pack it refers to, and the WAL from start to stop. Damage becomes a problem
/// in the report; an error means that it could not be checked (store unreachable, cancelled). It changes nothing: the
/// caller puts the outcome into the record.
VerifyReport verify_backup(Repository& repository, const std::string& instance, const std::string& backup,
                           const VerifyOptions& options, std::stop_token stop);

}  // namespace backstay::repository
