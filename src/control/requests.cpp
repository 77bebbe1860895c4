#include "control/requests.h"

#include "model/words.h"

namespace backstay::control {
namespace {

constexpr model::Words<FinalBackup, 3> kFinalBackups{
    {{FinalBackup::kRequired, "required"}, {FinalBackup::kBestEffort, "best-effort"}, {FinalBackup::kSkip, "skip"}}};

constexpr model::Words<RecoverInto, 3> kPlaces{
    {{RecoverInto::kNew, "new"}, {RecoverInto::kCandidate, "candidate"}, {RecoverInto::kInPlace, "in-place"}}};

}  // namespace

std::string_view to_text(RecoverInto into) { return model::word_of(kPlaces, into); }

RecoverInto recover_into_from_text(std::string_view text) {
  return model::value_of(kPlaces, text, "place to recover to");
}

std::string_view to_text(FinalBackup wish) { return model::word_of(kFinalBackups, wish); }

FinalBackup final_backup_from_text(std::string_view text) {
  return model::value_of(kFinalBackups, text, "final backup");
}

}  // namespace backstay::control
