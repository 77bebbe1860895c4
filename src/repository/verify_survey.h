// Private to repository: what lies in a repository, and what of it a verification reads.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "repository/object_keys.h"
#include "repository/records.h"
#include "repository/repository.h"
#include "repository/verify_all.h"

namespace backstay::repository::detail {

struct SurveyedObject {
  std::string key = {};
  ObjectKey what = {};
  std::uint64_t size = 0;
};

/// What is known of one attempt at a backup.
struct SurveyedAttempt {
  std::string instance = {};
  std::string id = {};
  ObjectId attempt{};
  bool has_record = false;
  bool has_manifest = false;
  bool condemned = false;
  bool marked = false;
  /// Once it was read.
  std::optional<BackupRecord> record = {};
};

struct VerifySurvey {
  /// In key order.
  std::vector<SurveyedObject> objects = {};
  /// By their name.
  std::map<std::string, SurveyedAttempt> attempts = {};
  std::map<Kind, KindTotals> kinds = {};
  std::uint64_t instances = 0;
  std::uint64_t foreign = 0;
  [[nodiscard]] const SurveyedObject* find(const std::string& key) const;
};

/// The name of the attempt that an object is of.
std::string attempt_name(const ObjectKey& what);

/// One listing. Throws cancelled, and the store's errors.
VerifySurvey survey_repository(Repository& repository, const std::stop_token& stop);

/// Which of the survey's objects are read, by their indexes: all but the manifests, which are read with the backups, or
/// of packs and WAL segments the part that the sample wants.
std::vector<std::size_t> draw_objects(const VerifySurvey& survey, const std::optional<VerifySample>& sample);

}  // namespace backstay::repository::detail
