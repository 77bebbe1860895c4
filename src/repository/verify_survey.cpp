#include "repository/verify_survey.h"

#include <algorithm>
#include <random>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"
#include "repository/description.h"

namespace backstay::repository::detail {
namespace {

class Surveyor {
 public:
  VerifySurvey run(Repository& repository, const std::stop_token& stop) {
    repository.store().list("", "", [&](const blob::ObjectInfo& object) {
      if (stop.stop_requested()) throw core::Error(core::Code::kCancelled, "the verification was cancelled");
      note(object);
      return true;
    });
    survey_.instances = instances_.size();
    return std::move(survey_);
  }

 private:
  void note(const blob::ObjectInfo& object) {
    const auto what = parse_object_key(object.key);
    if (!what) {
      if (object.key != kDescriptionKey) ++survey_.foreign;
      return;
    }
    survey_.objects.push_back({object.key, *what, object.size});
    auto& totals = survey_.kinds[what->kind];
    ++totals.objects;
    totals.bytes += object.size;
    if (!what->instance.empty()) instances_.insert(what->instance);
    if (!what->backup.empty()) note_backup(*what);
  }

  void note_backup(const ObjectKey& what) {
    if (!what.attempt) {
      condemned_.insert(what.instance + "/" + what.backup);
      return;
    }
    SurveyedAttempt& attempt = survey_.attempts[attempt_name(what)];
    attempt.instance = what.instance;
    attempt.id = what.backup;
    attempt.attempt = *what.attempt;
    // The mark of a whole backup is listed before what its attempts have.
    attempt.condemned |= condemned_.contains(what.instance + "/" + what.backup);
    attempt.has_record |= what.kind == Kind::kBackupRecord;
    attempt.has_manifest |= what.kind == Kind::kManifest;
    attempt.condemned |= what.kind == Kind::kCondemned;
    attempt.marked |= what.kind == Kind::kWriterMark;
  }

  VerifySurvey survey_;
  std::set<std::string> instances_;
  std::set<std::string> condemned_;
};

}  // namespace

const SurveyedObject* VerifySurvey::find(const std::string& key) const {
  const auto at = std::ranges::lower_bound(objects, key, {}, &SurveyedObject::key);
  return at != objects.end() && at->key == key ? &*at : nullptr;
}

std::string attempt_name(const ObjectKey& what) {
  return fmt::format("{}/{}/{}", what.instance, what.backup, format_object_id(*what.attempt));
}

VerifySurvey survey_repository(Repository& repository, const std::stop_token& stop) {
  return Surveyor().run(repository, stop);
}

std::vector<std::size_t> draw_objects(const VerifySurvey& survey, const std::optional<VerifySample>& sample) {
  std::vector<std::size_t> drawn;
  std::vector<std::size_t> large;
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < survey.objects.size(); ++i) {
    const Kind kind = survey.objects[i].what.kind;
    if (kind == Kind::kManifest) continue;
    if (sample && (kind == Kind::kPack || kind == Kind::kWalSegment)) {
      large.push_back(i);
      bytes += survey.objects[i].size;
    } else {
      drawn.push_back(i);
    }
  }
  if (!sample) return drawn;
  const auto share = static_cast<std::uint64_t>(static_cast<double>(bytes) * sample->share);
  const std::uint64_t wanted = sample->bytes.value_or(share);
  std::mt19937_64 engine(sample->seed);
  // std::shuffle draws differently with every library.
  for (std::size_t i = large.size(); i > 1; --i) std::swap(large[i - 1], large[engine() % i]);
  std::uint64_t taken = 0;
  for (const std::size_t i : large) {
    if (taken >= wanted) break;
    taken += survey.objects[i].size;
    drawn.push_back(i);
  }
  return drawn;
}

}  // namespace backstay::repository::detail
