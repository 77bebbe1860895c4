#include "providers/postgresql_imports.h"

#include "backup/import.h"
#include "core/error.h"
#include "os/untrusted_directory.h"
#include "postgres/dump_programs.h"
#include "postgres/script_load.h"
#include "providers/import_places.h"
#include "providers/postgresql_dumps.h"

namespace backstay::providers {
namespace {

/// SQL is longer than what it becomes where values are compressed or binary; nothing reasonable is four times as long.
constexpr std::uint64_t kTextPerStorage = 4;

std::optional<std::uint64_t> most_bytes(const model::Service& service) {
  const auto storage = service.plan.resources.find("storage");
  if (storage == service.plan.resources.end()) return std::nullopt;
  return kTextPerStorage * (static_cast<std::uint64_t>(storage->second) << 20);
}

AllowedPath place_of(const PostgresqlWorld& world, const control::ImportTask& task) {
  if (!task.spooled.empty()) return {spool_directory(world.config.state_dir), task.spooled};
  return allowed_path(task.path, world.config.import_roots);
}

/// Over TCP, where clients of the application come from: the private socket is for the management role.
postgres::ConnectionTarget connection_of(const PostgresqlWorld& world, PostgresqlInstance& instance,
                                         const control::ServiceBody& body) {
  const auto access = instance.access();
  postgres::ConnectionTarget target;
  target.host = world.config.service_address;
  target.port = body.instance.port;
  target.user = access.role;
  target.password = access.password;
  target.database = access.database;
  return target;
}

std::optional<std::string> programs_problem(const postgres::Installation& installation) {
  const auto problem = postgres::load_problem(installation);
  return problem ? problem : postgres::dump_problem(installation);
}

/// Whose psql and pg_restore take a dump into a server: the server's own if it has them, else of the newest earlier
/// version, whose words it knows. Null if there are none.
const postgres::Installation* loading_installation(const PostgresqlWorld& world, int server) {
  const auto usable = postgres::usable_installations(world.installations, 0, server, programs_problem);
  return usable.empty() ? nullptr : usable.back();
}

core::json::object told(const backup::ImportResult& result) {
  if (result.loaded_before) return {{"loadedBefore", true}};
  return {{"format", backup::to_text(result.format)},
          {"bytes", result.bytes},
          {"statements", result.statements},
          {"leftOut", {{"ownership", result.left_out.ownership}, {"madeAlready", result.left_out.made_already}}}};
}

}  // namespace

std::optional<std::string> import_problem(const PostgresqlWorld& world, const model::Instance& instance) {
  if (instance.engine_major == 0) return std::nullopt;  // it has no data yet, which is told elsewhere
  if (loading_installation(world, instance.engine_major) != nullptr) return std::nullopt;
  return programs_problem(postgres::installation_of(world.installations, instance.engine_major));
}

core::json::object import_into_service(const PostgresqlWorld& world, const backup::Environment& environment,
                                       const control::ServiceBody& body, const control::ImportTask& task,
                                       control::WorkContext& context) {
  PostgresqlInstance instance(world, body);
  const auto place = place_of(world, task);
  const auto* const programs = loading_installation(world, body.instance.engine_major);
  if (programs == nullptr) {
    throw core::Error(core::Code::kNotSupported,
                      import_problem(world, body.instance).value_or("there is no psql on this machine"));
  }
  const os::UntrustedDirectory root(place.root);
  std::optional<backup::DumpFormat> format;
  if (!task.format.empty()) format = backup::dump_format_from_text(task.format);
  const backup::ImportRequest request{
      .root = root,
      .path = place.path,
      .format = format,
      .most_bytes = most_bytes(body.service),
      .scratch = {.parent = scratch_directory(world.config), .claims = world.scratch},
      .load = {.installation = *programs,
               .identity = instance.identity(),
               .connection = connection_of(world, instance, body),
               .connect_as_superuser = [&](const std::string& database) { return instance.server().connect(database); },
               .name = "backstay import " + task.id,
               .mark = task.mark,
               .note = task.note}};
  const auto result = backup::import_dump(
      environment, request,
      [&](const backup::Progress& progress) { context.progress(progress.phase, progress.done, progress.total); },
      context.stop());
  return told(result);
}

}  // namespace backstay::providers
