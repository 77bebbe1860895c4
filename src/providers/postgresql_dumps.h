// Logical backups of PostgreSQL services: pg_dump of the application's database, and what becomes of it.
//
// A dump goes into the same or any later major version. It is read and restored by the service's own user and the
// application's own role, never by the server's superuser.
#pragma once

#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>

#include "backup/environment.h"
#include "control/provider.h"
#include "providers/postgresql_instance.h"
#include "repository/records.h"
#include "repository/repository.h"

namespace backstay::providers {

/// Where dumps lie while they are on their way; nobody else's, and empty while nothing is at work.
std::filesystem::path scratch_directory(const PostgresqlConfig& config);

/// Who reads dumps of the instance: its user, unless the instance is removed. That user may be another's by now, so it
/// is nobody then. Nothing where instances have no users.
std::optional<os::Identity> dump_reader(const model::Instance& instance);

/// See control::Provider::logical_problem.
std::optional<std::string> dump_problem(const PostgresqlWorld& world, const model::Instance& instance,
                                        control::DumpWork work);

/// Returns when it is stored.
repository::BackupRecord take_service_dump(const PostgresqlWorld& world, const backup::Environment& environment,
                                           repository::Repository& repository, const control::ServiceBody& body,
                                           const model::Backup& backup, control::WorkContext& context);

/// Throws invalid_argument for a dump of a later major version, and what backup::require_dump throws.
control::RecoveryPlan plan_dump(const PostgresqlWorld& world, repository::Repository& repository,
                                const control::RecoveryQuestion& question, const model::Service& wanted);
/// True for the facts of such a plan.
bool is_dump_plan(const core::json::object& facts);

/// Makes a new cluster with the application's role and its database as the dump has it, which nobody can connect to
/// meanwhile; the server is stopped afterwards. Killed anywhere, it begins anew, unless it was done.
void load_dump(const PostgresqlWorld& world, const backup::Environment& environment, repository::Repository& repository,
               const control::ServiceBody& body, const core::json::object& facts, control::WorkContext& context);

void write_service_dump(const PostgresqlWorld& world, const backup::Environment& environment,
                        repository::Repository& repository, const model::Instance& instance,
                        const std::string& backup_id, const control::TextSink& sink, std::stop_token stop);

}  // namespace backstay::providers
