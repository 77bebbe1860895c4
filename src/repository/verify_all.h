// Proving a whole repository: every object that is in its destination, each once, and that what they refer to is there.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "repository/repository.h"
#include "repository/verify.h"

namespace backstay::repository {

/// A part of the packs and WAL segments, drawn at random; everything else is always read.
struct VerifySample {
  /// How many bytes of them, or what part of all of them.
  std::optional<std::uint64_t> bytes = {};
  double share = 1;
  /// The same seed draws the same part of the same objects.
  std::uint64_t seed = 0;
};

struct VerifyAllOptions {
  unsigned threads = 2;
  std::optional<VerifySample> sample = {};
  /// Objects checked so far and objects in all; called by one thread at a time.
  std::function<void(std::uint64_t done, std::uint64_t total)> progress = {};
};

/// Whole, but nothing needs it.
struct OrphanObject {
  std::string object = {};
  std::uint64_t bytes = 0;
  std::string why = {};
};

struct KindTotals {
  std::uint64_t objects = 0;
  std::uint64_t bytes = 0;
  std::uint64_t objects_read = 0;
  std::uint64_t bytes_read = 0;
};

struct VerifyAllReport {
  std::map<Kind, KindTotals> kinds = {};
  std::uint64_t instances = 0;
  std::uint64_t backups = 0;
  /// Objects under names that are none of ours: left alone.
  std::uint64_t foreign = 0;
  std::vector<OrphanObject> orphans = {};
  std::vector<std::string> warnings = {};
  std::vector<VerifyProblem> problems = {};
  [[nodiscard]] bool ok() const { return problems.empty(); }
};

/// Reads and changes nothing. Damage becomes a problem in the report; an error means that it could not be checked
/// (store unreachable, cancelled). Objects that come or go meanwhile, as while a server is at work, are not taken for
/// damage: what is missing is looked for once more.
VerifyAllReport verify_all(Repository& repository, const VerifyAllOptions& options, std::stop_token stop);

}  // namespace backstay::repository
