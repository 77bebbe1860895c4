#include "providers/store_gate.h"

#include "blob/probe.h"
#include "core/error.h"
#include "repository/keys.h"
#include "repository/repository.h"

namespace backstay::providers {

blob::DestinationConfig to_blob(const model::Destination& destination) {
  blob::DestinationConfig config;
  config.url = destination.url;
  config.endpoint_url = destination.endpoint_url;
  config.region = destination.region;
  config.access_key = destination.access_key.reveal();
  config.secret_key = destination.secret_key;
  config.addressing = destination.path_style ? blob::AddressingStyle::kAuto : blob::AddressingStyle::kVirtualHost;
  return config;
}

void BlobStoreGate::check(const model::Destination& destination) { blob::validate_destination(to_blob(destination)); }

std::vector<control::ProbeCheck> BlobStoreGate::probe(const model::Destination& destination) {
  auto policy = policy_;
  // Only for a place that is new: where backups are kept already, a missing directory is a disk that is not mounted.
  policy.create_directories = destination.id.empty();
  const auto turn = turns_.take(destination.team_id);
  const auto report = blob::probe(to_blob(destination), policy, context_);
  report.require_accepted();
  std::vector<control::ProbeCheck> checks;
  for (const auto& check : report.checks) {
    checks.push_back({check.name, check.essential, check.passed, check.message});
  }
  for (const auto& note : report.notes) checks.push_back({"note", false, true, note});
  return checks;
}

std::unique_ptr<blob::Store> BlobStoreGate::open(const model::Destination& destination) {
  auto policy = policy_;
  policy.create_directories = false;
  return blob::open_store(to_blob(destination), policy, context_);
}

bool BlobStoreGate::holds_repository(const model::Destination& destination, const std::string& repository_id) {
  const auto turn = turns_.take(destination.team_id);
  auto policy = policy_;
  policy.create_directories = false;
  try {
    repository::Repository::check_present(*blob::open_store(to_blob(destination), policy, context_), repository_id);
    return true;
  } catch (const core::Error& error) {
    if (error.code() != core::Code::kStoreUnreachable) throw;
    return false;
  }
}

std::string BlobStoreGate::recovery_kit(const model::Team& team,
                                        const std::vector<model::Destination>& destinations) const {
  std::string kit = fmt::format(
      "Backstay recovery kit of the team '{}'\n\n"
      "Keep this page where a loss of the Backstay server does not reach it. Whoever has it and can read the\n"
      "destinations can read every backup of the team; without it, and without the server, nobody can.\n\n"
      "Recovery key: {}\n\n"
      "Destinations:\n",
      team.name, team.recovery_key.reveal());
  for (const auto& destination : destinations) {
    kit += fmt::format("  {}{}\n", destination.url,
                       destination.endpoint_url.empty() ? "" : " at " + destination.endpoint_url);
  }
  kit +=
      "\nOn any machine with the backstay program, the store's own credentials and this key:\n"
      "  backstay repository list --help\n"
      "  backstay repository restore --help\n";
  return kit;
}

core::Secret BlobStoreGate::make_recovery_key() {
  return repository::format_recovery_key(repository::TeamKey(repository::KeyBytes::generate(context_.random)));
}

}  // namespace backstay::providers
