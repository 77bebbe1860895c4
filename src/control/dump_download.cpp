#include "control/dump_download.h"

#include <algorithm>

#include "control/body_loader.h"
#include "control/queries.h"
#include "core/error.h"
#include "core/time.h"
#include "metadata/backups.h"
#include "metadata/instances.h"
#include "metadata/services.h"

namespace backstay::control {
namespace {

struct Found {
  model::Service service;
  model::Instance instance;
  BackupTarget at;
};

Found find_dump(metadata::Transaction& tx, const model::Backup& backup) {
  return {metadata::Services(tx).require(backup.service_id), metadata::Instances(tx).require(backup.instance_id),
          load_target(tx, backup.destination_id, backup.team_id)};
}

[[noreturn]] void refuse_logical(const std::string& reason) {
  throw core::Error(core::Code::kNotSupported, "logical backups are not possible here: " + reason)
      .with_field("/mechanism", "is not possible here: " + reason)
      .with_hint("take a physical backup, or ask the operator for what is missing");
}

/// The name of a service says nothing that a file name could not.
std::string file_name(const model::Service& service, const model::Backup& backup) {
  std::string name = service.name + "-" + core::format_time(std::chrono::floor<std::chrono::seconds>(*backup.taken_at));
  std::erase(name, ':');
  const auto odd = [](unsigned char c) { return std::isalnum(c) == 0 && c != '-' && c != '.' && c != '_'; };
  std::replace_if(name.begin(), name.end(), odd, '_');
  return name + ".sql";
}

}  // namespace

void require_logical(metadata::Transaction& tx, const ProviderRegistry& providers, const model::Service& service) {
  model::Instance instance;
  if (auto found = metadata::Instances(tx).find(service.status.instance_id)) instance = *std::move(found);
  if (const auto problem = providers.of_kind(service.provider.kind).logical_problem(instance, DumpWork::kTake))
    refuse_logical(*problem);
}

DumpDownload Queries::dump(const std::string& backup_id, const Principal& principal) {
  require_scope(principal, model::kScopeBackupsRecover);
  const auto backup = this->backup(backup_id, principal);
  if (backup.mechanism != model::BackupMechanism::kLogical) {
    throw core::Error(core::Code::kInvalidArgument,
                      fmt::format("the backup '{}' is physical: it holds files of a server, not SQL", backup.id))
        .with_hint("take a logical backup, or recover this one into a service and dump that");
  }
  const bool goes = backup.state == model::BackupState::kDeleting || backup.state == model::BackupState::kDeleted;
  if (!backup.stored_at || goes) {
    throw core::Error(core::Code::kRecoveryOutOfReach, fmt::format("the backup '{}' is not in the store: it is {}",
                                                                   backup.id, model::to_text(backup.state)));
  }
  auto found = database_.read([&](auto& tx) { return find_dump(tx, backup); });
  Provider& provider = providers_.of_kind(found.service.provider.kind);
  if (const auto problem = provider.logical_problem(found.instance, DumpWork::kRead)) refuse_logical(*problem);
  auto name = file_name(found.service, backup);
  return {std::move(name), [&provider, found = std::move(found), backup](const TextSink& sink, std::stop_token stop) {
            provider.write_dump(found.instance, found.at, backup, sink, std::move(stop));
          }};
}

}  // namespace backstay::control
