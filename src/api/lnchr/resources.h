// What control knows, in Lnchr's shapes. No secrets come through here.
#pragma once

#include <string>

#include "control/schedule_commands.h"
#include "core/json.h"
#include "model/backup.h"
#include "model/destination.h"
#include "model/recovery.h"
#include "model/service.h"

namespace backstay::api::lnchr {

/// Where in a store: s3://bucket/prefix; a directory is its own bucket.
struct Place {
  std::string bucket{};
  std::string prefix{};
};
Place place_of(const std::string& url);
std::string url_of(const Place& place);

/// How applications reach a database; empty and 0 for what is not known yet.
struct Connection {
  std::string host{};
  std::int64_t port = 0;
  std::string user{};
  std::string database{};
};
Connection connection_of(const model::Service& service);

core::json::object destination_resource(const model::Destination& destination);
core::json::object database_resource(const model::Service& service);
core::json::object backup_resource(const model::Backup& backup);
core::json::object window_resource(const std::string& database_id, const model::RecoveryWindow& window);
core::json::object schedule_resource(const control::ScheduleView& view);

/// The words for states.
std::string_view database_status(const model::Service& service);
std::string_view backup_status(model::BackupState state);

/// The labels that hold what the product has no field for.
inline constexpr std::string_view kProjectLabel = "lnchr.project_id";
inline constexpr std::string_view kEnvironmentLabel = "lnchr.environment_id";
inline constexpr std::string_view kServerLabel = "lnchr.server_id";

}  // namespace backstay::api::lnchr
