#include "cli/repository_commands.h"

#include <memory>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "backup/incremental_facts.h"
#include "cli/dump_commands.h"
#include "cli/offline_command.h"
#include "cli/offline_recovery.h"
#include "cli/prune_commands.h"
#include "cli/repository_access.h"
#include "cli/table.h"
#include "cli/verify_command.h"
#include "core/error.h"
#include "core/text.h"
#include "repository/keys.h"

namespace backstay::cli {
namespace {

struct RepositoryOptions {
  RepositoryAccess access;
  std::string output = "table";
  std::string instance;
  TargetOptions target;
  RecoveredServerOptions server;
  bool recover = false;
};

std::string time_cell(const std::optional<core::Timestamp>& time) { return time ? core::format_time(*time) : ""; }

core::json::value time_json(const std::optional<core::Timestamp>& time) {
  return time ? core::json::value(core::format_time(*time)) : core::json::value(nullptr);
}

/// A new key is written to the key file before the repository is made, so that it can never be lost in between.
void init(const RepositoryOptions& options, std::stop_token stop) {
  LocalWorld world;
  const bool make_key = !options.access.key_file.empty() && !world.files.stat(options.access.key_file);
  const auto store = options.access.open_store(world, std::move(stop));
  if (make_key) {
    const repository::TeamKey key(repository::KeyBytes::generate(world.random));
    const core::Secret text = repository::format_recovery_key(key);
    world.files.write_file_durably(options.access.key_file, core::as_bytes(text.reveal() + "\n"), 0600);
  }
  const auto made = repository::Repository::create(store, options.access.read_key(), world.random, world.clock);
  print_result(options.output, core::json::object{{"repository", made->id()}, {"store", store->description()}},
               fmt::format("made repository {} in {}\n{}", made->id(), store->description(),
                           make_key ? fmt::format("the recovery key is in {}: keep a copy elsewhere, without it the "
                                                  "backups cannot be read\n",
                                                  options.access.key_file.string())
                                    : std::string()));
}

core::json::object backup_json(const repository::BackupRecord& backup) {
  return {{"id", backup.backup},
          {"mechanism", backup.mechanism},
          {"origin", backup.origin},
          {"label", backup.label},
          {"taken", time_json(backup.taken)},
          {"stored", time_json(backup.stored)},
          {"confirmed", time_json(backup.confirmed)},
          {"verified", time_json(backup.verified)},
          {"problem", backup.problem},
          {"dataBytes", backup.data_size},
          {"storedBytes", backup.stored_size},
          {"base", backup::facts_of(backup).base},
          {"pagesFailed", backup.pages_failed},
          {"postgresVersion", backup.postgres_version}};
}

void list(const RepositoryOptions& options, std::stop_token stop) {
  LocalWorld world;
  const auto repository = options.access.open(world, std::move(stop));
  core::json::array instances;
  Table table({"instance", "backup", "mechanism", "taken", "confirmed", "data", "stored", "problem"});
  std::string windows;
  for (const std::string& id : repository->instances()) {
    const auto record = repository->instance(id);
    const std::string name = record && !record->service_name.empty() ? record->service_name : id;
    backup::WalArchive archive(*repository, id);
    const auto window = archive.window();
    core::json::array backups;
    std::vector<repository::DamagedBackup> damaged;
    for (const auto& backup : archive.backups(&damaged)) {
      backups.push_back(backup_json(backup));
      table.add({name, backup.backup, backup.mechanism, time_cell(backup.taken), time_cell(backup.confirmed),
                 core::format_bytes(backup.data_size), core::format_bytes(backup.stored_size), backup.problem});
    }
    for (const auto& backup : damaged) {
      backups.push_back({{"id", backup.backup}, {"problem", backup.problem}});
      table.add({name, backup.backup, "", "", "", "", "", backup.problem});
    }
    core::json::array gaps;
    for (const std::string& warning : window.warnings) windows += fmt::format("warning: {}: {}\n", name, warning);
    for (const auto& gap : window.gaps) {
      gaps.push_back(
          {{"from", core::format_time(gap.from)}, {"to", core::format_time(gap.to)}, {"reason", gap.reason}});
    }
    instances.push_back({{"id", id},
                         {"name", name},
                         {"earliest", time_json(window.earliest)},
                         {"latest", time_json(window.latest)},
                         {"gaps", std::move(gaps)},
                         {"backups", std::move(backups)}});
    if (window.earliest) {
      windows += fmt::format("{} ({}): any time from {} to {}{}\n", name, id, core::format_time(*window.earliest),
                             core::format_time(*window.latest),
                             window.gaps.empty() ? "" : fmt::format(", except {} gaps", window.gaps.size()));
    }
  }
  print_result(options.output, instances, table.render("no backups") + windows);
}

void restore(const RepositoryOptions& options, std::stop_token stop) {
  LocalWorld world;
  const auto repository = options.access.open_for_recovery(world, options.target.backup, stop);
  const std::string instance = find_instance(*repository, options.instance);
  const auto plan = backup::WalArchive(*repository, instance).plan(options.target.target(true), world.clock.now());
  const auto result = options.recover ? recover_offline(world, *repository, plan, options.server, std::move(stop))
                                      : restore_offline(world, *repository, plan, options.server, std::move(stop));
  print_result(options.output, result.json, result.text);
}

CLI::App& add_command(CLI::App& group, const std::string& name, const std::string& help,
                      const std::shared_ptr<RepositoryOptions>& options,
                      void (*run)(const RepositoryOptions&, std::stop_token)) {
  CLI::App& command = *group.add_subcommand(name, help);
  options->access.add_to(command);
  add_output_option(command, options->output);
  set_offline_callback(command, [options, run](std::stop_token stop) { run(*options, std::move(stop)); });
  return command;
}

}  // namespace

void add_repository_commands(CLI::App& program) {
  CLI::App& group = *program.add_subcommand("repository", "a repository, from its store and the recovery key alone");
  group.require_subcommand(1);
  const auto make = [] { return std::make_shared<RepositoryOptions>(); };
  add_command(group, "init", "make a repository; writes a new recovery key to --key-file if that does not exist",
              make(), init);
  add_command(group, "list", "list instances, their backups and what times can be reached", make(), list);

  add_verify_command(group);

  const auto restore_options = make();
  CLI::App& restore_command = add_command(
      group, "restore", "restore an instance to a directory, as of a backup or a time", restore_options, restore);
  restore_command.add_option("--instance", restore_options->instance, "by name or id")->required();
  restore_options->target.add_to(restore_command);
  restore_options->server.add_to(restore_command);
  restore_command.add_flag("--recover", restore_options->recover, "replay and promote too");
  restore_command.add_flag("--start", restore_options->server.start, "with --recover: leave the server running");
  add_dump_command(group);
  add_prune_commands(group);
}

}  // namespace backstay::cli
