#include "api/lnchr/databases.h"

#include <algorithm>

#include "api/lnchr/resources.h"
#include "core/text.h"

namespace backstay::api::lnchr {
namespace {

using control::Principal;
using core::Error;
using http::Request;

/// Of the provider kind that runs PostgreSQL; what is elsewhere has its own.
constexpr std::string_view kKind = "postgresql";

bool is_database(const model::Service& service) { return service.provider.kind == kKind && !service.deleted_at; }

}  // namespace

std::optional<model::Service> find_database(const Context& context, const Request& request, const std::string& id,
                                            const Principal& principal) {
  const auto team = tenant_of(context.queries, request, principal);
  try {
    auto service = context.queries.service(core::to_lower(id), principal).service;
    if (is_database(service) && (!team || service.team_id == *team)) return service;
  } catch (const Error& error) {
    if (error.code() != core::Code::kNotFound) throw;
  }
  return std::nullopt;
}

model::Service require_database(const Context& context, const Request& request, const Principal& principal) {
  auto found = find_database(context, request, path_id(request, kDatabase), principal);
  if (!found) throw not_found(kDatabase);
  return std::move(*found);
}

std::vector<model::Service> databases_of(const Context& context, const Request& request, const Principal& principal) {
  const control::ServiceFilter filter{.team_id = tenant_of(context.queries, request, principal)};
  const auto project = request.query_value("projectId");
  std::vector<model::Service> found;
  for (auto& view : context.queries.services(filter, principal)) {
    if (!is_database(view.service)) continue;
    if (project && !project->empty() &&
        !model::has_labels(view.service.labels, {{std::string(kProjectLabel), *project}}))
      continue;
    found.push_back(std::move(view.service));
  }
  return found;
}

bool has_default_destination(const Context& context, std::int64_t team, const Principal& principal) {
  const auto known = context.queries.destinations(team, principal);
  return std::ranges::any_of(known, [](const auto& destination) { return destination.is_default; });
}

const FieldNames& database_fields() {
  static const FieldNames names{{"/teamId", "/tenant"},
                                {"/provider/version", "/version"},
                                {"/provider/schemaVersion", "/version"},
                                {"/config/version", "/version"},
                                {"/config/userName", "/user"},
                                {"/config/databaseName", "/database"},
                                {"/secrets/userPassword", "/password"},
                                {"/secrets/password", "/password"},
                                {"/backups/enabled", "/backups_enabled"},
                                {"/backups/config/destinationId", "/backup_destination_id"},
                                {"/backups/config/destinationPath", "/backup_destination_id"},
                                {"/destinationId", "/destination_id"},
                                {"/mechanism", "/type"},
                                {"/serviceId", "/database_id"},
                                {"/backupId", "/backup_id"},
                                {"/time", "/target_time"},
                                {"/candidateId", "/restored_database_id"},
                                {"/back", "/rollback"}};
  return names;
}

Parameter project_parameter() {
  return {.name = "projectId", .description = "only of this project", .schema = {{"type", "string"}}};
}

}  // namespace backstay::api::lnchr
