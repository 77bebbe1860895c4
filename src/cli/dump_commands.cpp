#include "cli/dump_commands.h"

#include <array>
#include <climits>
#include <memory>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "backup/dump_restore.h"
#include "cli/offline_command.h"
#include "cli/repository_access.h"
#include "core/error.h"
#include "core/text.h"
#include "postgres/dump_programs.h"

namespace backstay::cli {
namespace {

struct Options {
  RepositoryAccess access;
  std::string instance;
  std::string backup;
  std::filesystem::path file;
  std::filesystem::path scratch = "/var/tmp";
  std::filesystem::path postgres_bin;
};

/// Of the dump's major version or the next later one.
postgres::Installation installation_for(const repository::BackupRecord& record, const std::filesystem::path& bin) {
  const auto place = bin.empty() ? std::filesystem::path(postgres::kDebianRoot) : bin;
  const auto major = core::parse_int(record.postgres_version.substr(0, record.postgres_version.find('.')));
  for (const auto& installation : postgres::find_installations(std::array{place})) {
    if (installation.major >= major.value_or(0) && !postgres::dump_problem(installation)) return installation;
  }
  throw core::Error(core::Code::kNotSupported, fmt::format("no pg_restore of PostgreSQL {} or later is in '{}'",
                                                           major.value_or(0), place.string()))
      .with_hint("install it, or name where it is with --postgres-bin");
}

/// Under another name until it is whole.
void dump(const Options& options, std::stop_token stop) {
  LocalWorld world;
  const auto repository = options.access.open(world, stop);
  const std::string instance = find_instance(*repository, options.instance);
  const auto record = backup::require_dump(*repository, instance, options.backup, INT_MAX);
  const auto installation = installation_for(record, options.postgres_bin);
  const auto unfinished = std::filesystem::path(options.file).concat(".part");
  const auto file = world.files.create(unfinished, 0600);
  try {
    backup::write_dump_as_sql(
        world.environment(),
        {.repository = *repository,
         .instance = instance,
         .backup_id = options.backup,
         .installation = installation,
         .scratch = {.parent = options.scratch}},
        [&](std::string_view part) { file->append(core::as_bytes(part)); }, std::move(stop));
    file->sync();
    file->close();
  } catch (...) {
    world.files.remove(unfinished);
    throw;
  }
  world.files.rename(unfinished, options.file);
}

}  // namespace

void add_dump_command(CLI::App& group) {
  const auto options = std::make_shared<Options>();
  CLI::App& command = *group.add_subcommand("dump", "write a logical backup as SQL for psql");
  options->access.add_to(command);
  command.add_option("--instance", options->instance, "by name or id")->required();
  command.add_option("--backup", options->backup, "its id")->required();
  command.add_option("--file", options->file, "the file to make")->required();
  command.add_option("--scratch", options->scratch, "directory with room for the dump's files, /var/tmp by default");
  command.add_option("--postgres-bin", options->postgres_bin, "where pg_restore is, if not in Debian's place");
  set_offline_callback(command, [options](std::stop_token stop) { dump(*options, std::move(stop)); });
}

}  // namespace backstay::cli
