// Dumps taken into running PostgreSQL services, as the application's own role.
#pragma once

#include <optional>
#include <string>

#include "backup/environment.h"
#include "control/provider.h"
#include "providers/postgresql_instance.h"

namespace backstay::providers {

/// See control::Provider::import_problem and import_dump.
std::optional<std::string> import_problem(const PostgresqlWorld& world, const model::Instance& instance);
core::json::object import_into_service(const PostgresqlWorld& world, const backup::Environment& environment,
                                       const control::ServiceBody& body, const control::ImportTask& task,
                                       control::WorkContext& context);

}  // namespace backstay::providers
