// Databases: the services of the PostgreSQL provider, found by the paths of several groups of calls.
#pragma once

#include <optional>
#include <string>

#include "api/lnchr/call.h"
#include "api/lnchr/routes.h"
#include "model/service.h"

namespace backstay::api::lnchr {

inline constexpr std::string_view kDatabase = "database";

/// The one of the path's {id}. Throws Error(not_found) for one of another tenant, one that is gone, and a service that
/// is no database.
model::Service require_database(const Context& context, const http::Request& request,
                                const control::Principal& principal);
/// The same for an id that stands elsewhere; nothing instead of an error.
std::optional<model::Service> find_database(const Context& context, const http::Request& request, const std::string& id,
                                            const control::Principal& principal);
/// Those of the path's tenant, or of every team that the token sees, in the project that the query names.
std::vector<model::Service> databases_of(const Context& context, const http::Request& request,
                                         const control::Principal& principal);

/// True if backups of the team's services have somewhere to go without being told.
bool has_default_destination(const Context& context, std::int64_t team, const control::Principal& principal);

/// The house's names of what these calls ask for.
const FieldNames& database_fields();
/// ?projectId=
Parameter project_parameter();

}  // namespace backstay::api::lnchr
