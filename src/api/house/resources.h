// What control knows, in the shapes of the house API (docs/compat/codesphere.md). No secrets come through here.
#pragma once

#include <string>

#include "control/queries.h"
#include "control/service_commands.h"
#include "core/json.h"

namespace backstay::api::house {

/// The managed service resource. `base_url` is scheme, host and prefix for status.detailsRef.
core::json::object service_resource(const control::ServiceView& view, const std::string& base_url);
/// {id, scheduledAt, initiatedAt?, confirmedAt?}, as Codesphere's clients know a backup.
core::json::object backup_entry(const model::Backup& backup);
/// What a request would do.
core::json::object preview_resource(const control::Preview& preview);
core::json::object team_resource(const model::Team& team);

/// Backstay's own resources.
core::json::object backup_resource(const model::Backup& backup);
core::json::object operation_resource(const model::Operation& operation);
core::json::object event_resource(const model::Event& event);
core::json::object window_resource(const std::string& service_id, const std::vector<model::RecoveryWindow>& windows,
                                   const std::optional<control::AtRisk>& at_risk,
                                   const std::optional<model::ChainReport>& chain);
/// For a service's recovery window: which restore was last seen to work, and how long it took.
core::json::object verified_resource(const model::Backup& backup);
core::json::object token_resource(const model::Token& token);
core::json::object destination_resource(const model::Destination& destination);
core::json::array checks_resource(const std::vector<control::ProbeCheck>& checks);

}  // namespace backstay::api::house
