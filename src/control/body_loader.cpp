#include "control/body_loader.h"

#include "core/error.h"
#include "metadata/destinations.h"
#include "metadata/instances.h"
#include "metadata/settings.h"
#include "metadata/teams.h"

namespace backstay::control {

std::string instance_secret_key(const std::string& instance_id) { return "instance/" + instance_id + "/secret"; }

std::string storage_level_key(const std::string& instance_id) { return "instance/" + instance_id + "/storage-level"; }

BackupTarget load_target(metadata::Transaction& tx, const std::string& destination_id, std::int64_t team_id) {
  const auto team = metadata::Teams(tx).find(team_id);
  if (!team) throw core::Error(core::Code::kNotFound, fmt::format("there is no team {}", team_id));
  return {metadata::Destinations(tx).require(destination_id), team->recovery_key};
}

ServiceBody load_body(metadata::Transaction& tx, const model::Service& service, const std::string& instance_id) {
  ServiceBody body;
  body.service = service;
  body.instance = metadata::Instances(tx).require(instance_id);
  if (auto secret = metadata::Settings(tx).get_secret(instance_secret_key(instance_id))) {
    body.instance_secret = *secret;
  }
  body.read_only = metadata::Settings(tx).get(storage_level_key(instance_id)) == kStorageFull;
  if (!body.instance.destination_id.empty()) {
    body.backups = load_target(tx, body.instance.destination_id, service.team_id);
  }
  return body;
}

}  // namespace backstay::control
