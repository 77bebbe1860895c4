#include "cli/dump_commands.h"

#include <unistd.h>

#include <array>
#include <climits>
#include <memory>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "backup/dump_restore.h"
#include "cli/offline_command.h"
#include "cli/repository_access.h"
#include "core/error.h"
#include "core/log.h"
#include "core/text.h"
#include "postgres/dump_programs.h"

namespace backstay::cli {
namespace {

struct DumpOptions {
  RepositoryAccess access;
  std::string instance;
  std::string backup;
  std::filesystem::path file;
  std::filesystem::path scratch;
  std::filesystem::path postgres_bin;
};

/// Of the dump's major version or the next later one.
postgres::Installation installation_for(const repository::BackupRecord& record, const std::filesystem::path& bin) {
  const auto place = bin.empty() ? std::filesystem::path(postgres::kDebianRoot) : bin;
  const int major = backup::dump_major(record);
  for (const auto& installation : postgres::find_installations(std::array{place})) {
    if (installation.major >= major && !postgres::dump_problem(installation)) return installation;
  }
  throw core::Error(core::Code::kNotSupported,
                    fmt::format("no pg_restore of PostgreSQL {} or later is in '{}'", major, place.string()))
      .with_hint("install it, or name where it is with --postgres-bin");
}

std::filesystem::path directory_of(const std::filesystem::path& file) {
  return std::filesystem::absolute(file).parent_path();
}

/// Where the dump's files lie meanwhile, named after the file, so that what a kill leaves is removed by the next call.
class Scratch {
 public:
  Scratch(os::FileSystem& files, const DumpOptions& options)
      : files_(files),
        path_((options.scratch.empty() ? directory_of(options.file) : std::filesystem::absolute(options.scratch)) /
              options.file.filename().concat(".scratch")) {
    const auto there = files_.stat(path_);
    if (there && (there->type != os::FileType::kDirectory || there->uid != ::geteuid())) {
      throw core::Error(core::Code::kAlreadyExists, fmt::format("'{}' is in the way", path_.string()));
    }
    backup::clear_scratch(files_, path_);
    files_.make_directories(path_, 0700);
  }
  ~Scratch() {
    try {
      files_.remove_all(path_);
    } catch (const core::Error& error) {
      core::log_warning("scratch.not_removed", error.message());
    }
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  os::FileSystem& files_;
  const std::filesystem::path path_;
};

/// Under another name until it is whole.
void dump(const DumpOptions& options, std::stop_token stop) {
  LocalWorld world;
  const auto repository = options.access.open(world, stop);
  const std::string instance = find_instance(*repository, options.instance);
  const auto record = backup::require_dump(*repository, instance, options.backup, INT_MAX);
  const auto installation = installation_for(record, options.postgres_bin);
  const auto unfinished = std::filesystem::path(options.file).concat(".part");
  const Scratch scratch(world.files, options);
  const auto file = world.files.create(unfinished, 0600);
  try {
    backup::write_dump_as_sql(
        world.environment(),
        {.repository = *repository,
         .instance = instance,
         .backup_id = options.backup,
         .installation = installation,
         .scratch = {.parent = scratch.path()}},
        [&](std::string_view part) { file->append(core::as_bytes(part)); }, std::move(stop));
    file->sync();
    file->close();
  } catch (...) {
    world.files.remove(unfinished);
    throw;
  }
  world.files.rename(unfinished, options.file);
  world.files.sync_directory(directory_of(options.file));
}

}  // namespace

void add_dump_command(CLI::App& group) {
  const auto options = std::make_shared<DumpOptions>();
  CLI::App& command = *group.add_subcommand("dump", "write a logical backup as SQL for psql");
  options->access.add_to(command);
  command.add_option("--instance", options->instance, "by name or id")->required();
  command.add_option("--backup", options->backup, "its id")->required();
  command.add_option("--file", options->file, "the file to make")->required();
  command.add_option("--scratch", options->scratch,
                     "directory with room for the dump's files, by default the one of --file");
  command.add_option("--postgres-bin", options->postgres_bin, "where pg_restore is, if not in Debian's place");
  set_offline_callback(command, [options](std::stop_token stop) { dump(*options, std::move(stop)); });
}

}  // namespace backstay::cli
