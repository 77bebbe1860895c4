#include "model/verification.h"

#include "model/words.h"

namespace backstay::model {
namespace {

constexpr Words<VerificationOutcome, 3> kOutcomes{{{VerificationOutcome::kVerified, "verified"},
                                                   {VerificationOutcome::kFailed, "failed"},
                                                   {VerificationOutcome::kNotRun, "notRun"}}};

void put(core::json::object& object, std::string_view key, const std::optional<core::Duration>& time) {
  if (time) object[key] = time->count();
}

std::optional<core::Duration> find_duration(const core::json::object& object, std::string_view key) {
  const auto found = core::find_int(object, key);
  if (!found) return std::nullopt;
  return core::Duration(*found);
}

}  // namespace

std::string_view to_text(VerificationOutcome outcome) { return word_of(kOutcomes, outcome); }

core::json::object to_json(const Verification& verification) {
  core::json::object object{{"outcome", to_text(verification.outcome)},
                            {"at", core::format_time(verification.at)},
                            {"problem", verification.problem},
                            {"nextStep", verification.next_step},
                            {"checks", verification.checks}};
  if (verification.not_run_at) object["notRunAt"] = core::format_time(*verification.not_run_at);
  put(object, "firstQueryMicroseconds", verification.first_query_time);
  put(object, "recoveryMicroseconds", verification.recovery_time);
  return object;
}

std::optional<Verification> verification_from_json(const core::json::object& object) {
  if (object.empty()) return std::nullopt;
  Verification verification;
  verification.outcome = value_of(kOutcomes, core::require_string(object, "outcome"), "outcome of a verification");
  verification.at = core::parse_time(core::require_string(object, "at"));
  if (const auto time = core::find_string(object, "notRunAt")) verification.not_run_at = core::parse_time(*time);
  verification.problem = core::require_string(object, "problem");
  verification.next_step = core::require_string(object, "nextStep");
  if (const auto* checks = core::find_object(object, "checks")) verification.checks = *checks;
  verification.first_query_time = find_duration(object, "firstQueryMicroseconds");
  verification.recovery_time = find_duration(object, "recoveryMicroseconds");
  return verification;
}

}  // namespace backstay::model
