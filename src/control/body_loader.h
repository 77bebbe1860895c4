// Loads what a provider needs to know of a service.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "control/provider.h"
#include "metadata/database.h"

namespace backstay::control {

/// The name that an instance's secret has among the sealed settings.
std::string instance_secret_key(const std::string& instance_id);

/// How full an instance's storage was when it was last judged: "0", "1" (high) or "2" (full).
std::string storage_level_key(const std::string& instance_id);
inline constexpr std::string_view kStorageFull = "2";

/// A destination with the recovery key of the team that owns the service. Throws Error(not_found).
BackupTarget load_target(metadata::Transaction& tx, const std::string& destination_id, std::int64_t team_id);

/// The service with this instance, secrets open. Throws Error(not_found).
ServiceBody load_body(metadata::Transaction& tx, const model::Service& service, const std::string& instance_id);

}  // namespace backstay::control
