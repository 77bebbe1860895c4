// The part of ServiceCommands that tells what a change or a deletion of a service would do.
#include "control/preview.h"

#include <algorithm>

#include "control/idempotency.h"
#include "control/operation_kind.h"
#include "control/service_commands.h"
#include "control/service_operations.h"
#include "control/switch_plan.h"
#include "control/tier_rules.h"
#include "core/error.h"
#include "metadata/backups.h"
#include "metadata/instances.h"
#include "metadata/operations.h"
#include "metadata/services.h"

namespace backstay::control {
namespace {

namespace json = core::json;

std::string final_backup_effect(FinalBackup wish) {
  switch (wish) {
    case FinalBackup::kRequired: return "a final backup is taken and confirmed; without it the data stays";
    case FinalBackup::kBestEffort: return "a final backup is tried; the data goes in any case";
    case FinalBackup::kSkip: break;
  }
  return "no final backup is taken: what was written since the last backup is lost where the store does not have it";
}

std::size_t stored_backups(metadata::Transaction& tx, const std::string& service_id) {
  metadata::BackupFilter filter;
  filter.service_id = service_id;
  const auto backups = metadata::Backups(tx).list(filter);
  return static_cast<std::size_t>(
      std::ranges::count_if(backups, [](const auto& backup) { return backup.stored_at.has_value(); }));
}

std::string what_stays(const model::Service& service, std::size_t stored, bool final_backup) {
  const auto days = service.backups.retention_days;
  if (service.backups.enabled && (stored > 0 || final_backup)) {
    return fmt::format("its record and {} stored backups{} stay for {} days; until then it can be undeleted", stored,
                       final_backup ? ", and the final one," : "", days);
  }
  if (stored == 0) return "nothing of it stays: no backup of it is stored";
  return fmt::format("its secrets go; {} stored backups stay for {} days and can be recovered into a new service",
                     stored, days);
}

/// The keys that differ.
std::vector<std::string> differences(const json::object& before, const json::object& after) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : after) {
    const auto* old = before.if_contains(key);
    if (old == nullptr || *old != value) keys.emplace_back(key);
  }
  for (const auto& [key, value] : before) {
    if (!after.contains(key)) keys.emplace_back(key);
  }
  return keys;
}

bool needs_restart(const model::ProviderDefinition& offer, const std::string& key) {
  const auto* properties = core::find_object(offer.config_schema, "properties");
  const auto* property = properties == nullptr ? nullptr : core::find_object(*properties, key);
  const auto* mark = property == nullptr ? nullptr : property->if_contains("x-restart");
  return mark != nullptr && mark->is_bool() && mark->get_bool();
}

void tell_config(const model::Service& before, const model::Service& after, const model::ProviderDefinition& offer,
                 Preview& preview) {
  for (const auto& key : differences(before.config, after.config)) {
    const auto* value = after.config.if_contains(key);
    preview.effects.push_back(value == nullptr ? fmt::format("'{}' goes back to what it is without a wish", key)
                                               : fmt::format("'{}' becomes {}", key, core::to_text(*value)));
    preview.restarts = preview.restarts || needs_restart(offer, key);
  }
  for (const auto& [name, value] : after.secrets) {
    const auto old = before.secrets.find(name);
    if (old == before.secrets.end() || old->second.reveal() != value.reveal()) {
      preview.effects.push_back(fmt::format("the secret '{}' is changed", name));
    }
  }
}

void tell_plan(const model::Service& before, const model::Service& after, Preview& preview) {
  for (const auto& [resource, value] : after.plan.resources) {
    const auto old = before.plan.resources.find(resource);
    if (old != before.plan.resources.end() && old->second == value) continue;
    preview.effects.push_back(fmt::format("the plan gives {} {} instead of {}", value, resource,
                                          old == before.plan.resources.end() ? 0 : old->second));
    // Both are fixed for as long as a server runs.
    preview.restarts = preview.restarts || resource == "memory" || resource == "connections";
  }
}

void tell_backups(const model::BackupSettings& before, const model::BackupSettings& after, Preview& preview) {
  const auto tell = [&](std::string effect) { preview.effects.push_back(std::move(effect)); };
  if (before.enabled != after.enabled) {
    tell(after.enabled ? "backups are switched on: the first is taken at once"
                       : "backups are switched off: changes from then on cannot be recovered; what is stored stays");
  }
  if (before.interval_h != after.interval_h) tell(fmt::format("backups are taken every {} hours", after.interval_h));
  if (before.retention_days != after.retention_days) {
    tell(fmt::format("backups are kept for {} days instead of {}", after.retention_days, before.retention_days));
  }
  if (after.enabled && before.destination_id != after.destination_id) tell("backups go to another place");
}

Preview preview_again(const model::Operation& deletion, FinalBackup wish) {
  if (!can_weaken(deletion, wish)) {
    return {.effects = {"the service is being deleted already: nothing more happens"}};
  }
  return {.effects = {"the deletion that is under way goes on: " + final_backup_effect(wish)}};
}

}  // namespace

std::set<std::string_view> ServiceCommands::ended_by_deletion(const model::Service& service) const {
  std::set<std::string_view> ended{kinds::kCreate, kinds::kRecover, kinds::kBackup, kinds::kRestart,
                                   kinds::kFormer, kinds::kImport,  kinds::kVerify};
  // A change may wait for its backend for as long as it takes.
  if (!deps_.providers.of_kind(service.provider.kind).is_local()) ended.insert(kinds::kUpdate);
  return ended;
}

Preview ServiceCommands::preview_deletion(const std::string& id, FinalBackup final_backup, const Principal& principal) {
  require_scope(principal, model::kScopeServicesDelete);
  const auto service = require_service(id, principal);
  require_deletable(service);
  require_generation(principal, service);
  return deps_.database.read([&](auto& tx) {
    Preview preview;
    metadata::OperationFilter open;
    open.service_id = id;
    open.open_only = true;
    require_no_switch(tx, service);
    const auto ended = ended_by_deletion(service);
    for (const auto& operation : metadata::Operations(tx).list(open)) {
      if (operation.kind == kinds::kDelete) {
        return preview_again(operation, final_backup);
      }
      if (ended.contains(operation.kind)) {
        preview.effects.push_back(fmt::format("the operation '{}' under way is cancelled", operation.kind));
      }
    }
    const auto instance = metadata::Instances(tx).find(service.status.instance_id);
    const bool has_state = service.backups.enabled && instance && instance->state == model::InstanceState::kServing;
    if (has_state) preview.effects.push_back(final_backup_effect(final_backup));
    preview.effects.emplace_back("the server is stopped, its clients are sent away, and its data is removed");
    preview.effects.push_back(
        what_stays(service, stored_backups(tx, id), has_state && final_backup != FinalBackup::kSkip));
    return preview;
  });
}

Preview ServiceCommands::setting_changes(const model::Service& before, const model::Service& after) {
  const auto catalogue = deps_.providers.catalogue();
  Preview changes;
  tell_plan(before, after, changes);
  if (before.app_version != after.app_version) {
    changes.effects.push_back(before.app_version.empty()
                                  ? fmt::format("the version becomes {}", after.app_version)
                                  : fmt::format("version {} becomes {}", before.app_version, after.app_version));
  }
  // Of a provider that was withdrawn no setting can change.
  const auto* offer = catalogue->find(before.provider.name, before.provider.version);
  if (offer != nullptr) tell_config(before, after, *offer, changes);
  tell_backups(before.backups, after.backups, changes);
  return changes;
}

Preview ServiceCommands::preview_update(const std::string& id, const UpdateServiceRequest& request,
                                        const Principal& principal) {
  require_scope(principal, model::kScopeServicesWrite);
  const auto before = require_service(id, principal);
  require_generation(principal, before);
  require_changeable(before);
  const auto after = admission_.update(before, request).service;
  {
    // Written and not kept: what the state refuses, such as a name that is taken, is refused here too.
    auto tx = deps_.database.begin(metadata::Access::kWrite);
    metadata::Services(tx).update_desired(after);
  }
  deps_.database.read([&](auto& tx) { require_plan_granted(tx, before, after); });
  auto preview = setting_changes(before, after);
  if (after.name != before.name) {
    preview.effects.insert(preview.effects.begin(),
                           fmt::format("the service '{}' is called '{}'", before.name, after.name));
  }
  const bool runs = !before.pause && !after.pause;
  preview.restarts = preview.restarts && runs;
  if (preview.restarts) preview.effects.emplace_back("the server restarts: its connections are cut for a moment");
  if (before.deletion_protection != after.deletion_protection) {
    preview.effects.emplace_back(after.deletion_protection ? "deletions are refused until the protection is taken back"
                                                           : "the service can be deleted again");
  }
  if (before.labels != after.labels) preview.effects.emplace_back("the labels of the service change");
  if (before.pause != after.pause) {
    preview.effects.emplace_back(after.pause ? "the server stops: its clients are sent away, its data is kept"
                                             : "the server starts again");
  }
  if (preview.effects.empty()) preview.effects.emplace_back("nothing changes");
  return preview;
}

}  // namespace backstay::control
