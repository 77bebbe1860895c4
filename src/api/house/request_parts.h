// Parts of a house request that are not its body: ids in the path, the query, and the address of the server.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/endpoint.h"
#include "control/preview.h"
#include "control/requests.h"
#include "core/time.h"
#include "http/types.h"

namespace backstay::api::house {

/// How many items the logs of operations and events answer where the request does not say.
inline constexpr std::size_t kUsualLimit = 100;

/// The UUID of the route's {id}, in lower case. What is no UUID names nothing: Error(not_found) "there is no <what>
/// '…'".
std::string path_uuid(const http::Request& request, std::string_view what);
/// The team id of the route's {id}, likewise.
std::int64_t path_team(const http::Request& request);

// The route has checked the query against the call's description; these read it.

/// The query's team=, or teamId= as some clients say; nothing if neither is there.
std::optional<std::int64_t> query_team(const http::Request& request);
/// The query's serviceId= or service=.
std::optional<std::string> query_service(const http::Request& request);
std::optional<std::int64_t> query_integer(const http::Request& request, std::string_view name);
/// Throws Error(invalid_argument) for what is no time.
std::optional<core::Timestamp> query_time(const http::Request& request, std::string_view name);
/// true or false; `absent` if it is not there.
bool query_flag(const http::Request& request, std::string_view name, bool absent);
/// dryRun=true.
control::Effect query_effect(const http::Request& request);
/// finalBackup=, required if it is not there.
control::FinalBackup query_final_backup(const http::Request& request);

/// The parameters that those readers read, for descriptions: team and teamId, serviceId and service.
std::vector<Parameter> team_parameters();
std::vector<Parameter> service_parameters();

/// "https://host:port" as the client wrote it, or the configured one; empty if the request does not say.
std::string origin(const http::Request& request, const std::string& public_url);
/// "https://host:port/api": where links in answers begin.
std::string base_url(const http::Request& request, const std::string& public_url);

}  // namespace backstay::api::house
