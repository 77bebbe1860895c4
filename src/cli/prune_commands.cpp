#include "cli/prune_commands.h"

#include <algorithm>
#include <memory>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "backup/retention.h"
#include "cli/offline_command.h"
#include "cli/repository_access.h"
#include "cli/table.h"
#include "core/error.h"
#include "core/text.h"
#include "model/retention.h"
#include "repository/prune.h"

namespace backstay::cli {
namespace {

struct PruneOptions {
  RepositoryAccess access;
  std::string output = "table";
  std::string instance;
  std::string backup;
  std::int64_t retention_days = 0;
  std::size_t keep_last = 3;
  std::int64_t grace_h = 24;
  bool dry_run = false;
  bool force = false;
};

struct Instance {
  std::string id;
  std::string name;
  std::optional<repository::Branch> branched_from;
  std::vector<repository::BackupRecord> backups;
  std::vector<repository::DamagedBackup> damaged;
};

std::vector<Instance> load(const repository::Repository& repository) {
  std::vector<Instance> instances;
  for (const std::string& id : repository.instances()) {
    Instance instance{.id = id, .name = id, .branched_from = {}, .backups = {}, .damaged = {}};
    if (const auto record = repository.instance(id)) {
      if (!record->service_name.empty()) instance.name = record->service_name;
      instance.branched_from = record->branched_from;
    }
    instance.backups = repository.backups(id, &instance.damaged);
    instances.push_back(std::move(instance));
  }
  return instances;
}

/// An instance that was recovered from another one needs it until it has a confirmed backup of its own.
std::string held_by(const std::vector<Instance>& instances, const std::string& id) {
  for (const Instance& other : instances) {
    if (!other.branched_from || other.branched_from->instance != id) continue;
    if (std::ranges::any_of(other.backups, repository::is_sound)) continue;
    return fmt::format("instance {} was recovered from it and has no confirmed backup yet", other.id);
  }
  return {};
}

/// Each instance for itself, as if it served: what a service points to is not in the repository.
model::RetentionDecision decide(repository::Repository& repository, const PruneOptions& options,
                                const std::vector<core::Timestamp>& now, const Instance& instance, std::string held) {
  model::RetentionQuestion question;
  question.now = now;
  question.retention_days = options.retention_days;
  question.keep_at_least = options.keep_last;
  if (held.empty() && !instance.damaged.empty()) {
    held = fmt::format("the record of backup {} of this instance cannot be read", instance.damaged.front().backup);
  }
  question.instances = {{.id = instance.id, .continuous = true, .served_until = {}, .held_by = std::move(held)}};
  for (const auto& backup : instance.backups) question.backups.push_back(backup::as_retained(repository, backup));
  return model::decide_retention(question);
}

core::json::object step_json(const repository::PruneStep& step) {
  return {{"action", repository::to_text(step.action)},
          {"object", step.object},
          {"objects", step.objects},
          {"bytes", step.bytes},
          {"why", step.why}};
}

std::string step_text(const repository::PruneStep& step) {
  const std::string size = step.bytes == 0 ? "" : fmt::format(" ({})", core::format_bytes(step.bytes));
  return fmt::format("{:<16} {}{}: {}\n", repository::to_text(step.action), step.object, size, step.why);
}

struct Output {
  core::json::array verdicts{};
  Table table{{"instance", "backup", "taken", "stays", "why"}};

  void add(const Instance& instance, const model::RetentionDecision& decision) {
    for (const model::BackupVerdict& verdict : decision.backups) {
      const auto backup = std::ranges::find(instance.backups, verdict.backup_id, &repository::BackupRecord::backup);
      table.add({instance.name, verdict.backup_id, core::format_time(backup->stop_time), verdict.goes ? "no" : "yes",
                 verdict.reason});
      verdicts.push_back(core::json::object{
          {"instance", instance.id}, {"backup", verdict.backup_id}, {"stays", !verdict.goes}, {"why", verdict.reason}});
    }
  }
  void print(const PruneOptions& options, const repository::PruneReport& report, std::string text) {
    core::json::array steps;
    for (const auto& step : report.steps) {
      steps.push_back(step_json(step));
      text += step_text(step);
    }
    text += fmt::format("{}{} objects, {}\n", options.dry_run ? "would remove " : "removed ", report.objects_removed,
                        core::format_bytes(report.bytes_removed));
    print_result(options.output,
                 core::json::object{{"dryRun", options.dry_run},
                                    {"backups", std::move(verdicts)},
                                    {"steps", std::move(steps)},
                                    {"objectsRemoved", report.objects_removed},
                                    {"bytesRemoved", report.bytes_removed}},
                 text);
  }
};

repository::PruneRequest request_of(const PruneOptions& options) {
  repository::PruneRequest request;
  request.grace = std::chrono::hours(options.grace_h);
  request.dry_run = options.dry_run;
  return request;
}

void prune(const PruneOptions& options, std::stop_token stop) {
  LocalWorld world;
  const auto repository = options.access.open(world, stop);
  Output output;
  auto request = request_of(options);
  std::string text;
  if (options.retention_days > 0) {
    std::vector<core::Timestamp> now{world.clock.now()};
    if (!options.dry_run) now.push_back(repository::store_time(*repository));
    const auto instances = load(*repository);
    const std::string only = options.instance.empty() ? "" : find_instance(*repository, options.instance);
    for (const Instance& instance : instances) {
      if (!only.empty() && instance.id != only) continue;
      const auto decision = decide(*repository, options, now, instance, held_by(instances, instance.id));
      output.add(instance, decision);
      backup::add_to(request, decision);
    }
    text = output.table.render("no backups");
  }
  const auto report = repository::prune(*repository, request, std::move(stop));
  output.print(options, report, std::move(text));
}

/// What deleting it means for what can be recovered.
std::string consequence(const Instance& instance, const std::string& id) {
  const auto backup = std::ranges::find(instance.backups, id, &repository::BackupRecord::backup);
  if (backup == instance.backups.end()) return "it cannot be read, so nothing can be recovered from it anyway";
  const auto left = std::ranges::find_if(
      instance.backups, [&](const auto& other) { return other.backup != id && repository::is_sound(other); });
  if (left == instance.backups.end()) return "nothing can be recovered from this instance's backups then";
  if (left->stop_time > backup->stop_time) {
    return fmt::format("no time before {} can be recovered then", core::format_time(left->stop_time));
  }
  return "the times after it can be recovered from the backup before it, as far as its WAL is there";
}

void check_deletion(const PruneOptions& options, const Instance& instance, const std::string& held) {
  const auto is_it = [&](const auto& backup) { return backup.backup == options.backup; };
  const auto backup = std::ranges::find_if(instance.backups, is_it);
  if (backup == instance.backups.end() && std::ranges::none_of(instance.damaged, is_it)) {
    throw core::Error(core::Code::kNotFound,
                      fmt::format("instance '{}' has no backup '{}'", instance.name, options.backup))
        .with_hint("see: backstay repository list");
  }
  if (options.force || backup == instance.backups.end() || !repository::is_sound(*backup)) return;
  if (!held.empty()) {
    throw core::Error(core::Code::kConflict, fmt::format("backup '{}' is needed: {}", options.backup, held))
        .with_hint("--force deletes it all the same");
  }
  if (std::ranges::count_if(instance.backups, repository::is_sound) > 1) return;
  throw core::Error(core::Code::kConflict,
                    fmt::format("'{}' is the last confirmed backup of '{}'", options.backup, instance.name))
      .with_hint("take and verify another one first; --force deletes it all the same");
}

void delete_backup(const PruneOptions& options, std::stop_token stop) {
  LocalWorld world;
  const auto repository = options.access.open(world, stop);
  const std::string id = find_instance(*repository, options.instance);
  const auto instances = load(*repository);
  const Instance& instance = *std::ranges::find(instances, id, &Instance::id);
  check_deletion(options, instance, held_by(instances, id));
  auto request = request_of(options);
  request.backups = {{id, options.backup, "it was deleted by hand"}};
  const auto report = repository::prune(*repository, request, std::move(stop));
  std::string text = fmt::format("backup {}: {}\n", options.backup, consequence(instance, options.backup));
  if (!options.dry_run) {
    text += fmt::format("it is hidden now; `repository prune` removes it once {} h have passed\n", options.grace_h);
  }
  Output().print(options, report, std::move(text));
}

CLI::App& add_command(CLI::App& group, const std::string& name, const std::string& help,
                      const std::shared_ptr<PruneOptions>& options, void (*run)(const PruneOptions&, std::stop_token)) {
  CLI::App& command = *group.add_subcommand(name, help);
  options->access.add_to(command);
  add_output_option(command, options->output);
  command
      .add_option("--grace-hours", options->grace_h,
                  "how long readers that are at work now may take; nothing is removed earlier")
      ->check(CLI::Range(0, 24 * 365));
  command.add_flag("--dry-run", options->dry_run, "only say what would be done, and why");
  set_offline_callback(command, [options, run](std::stop_token stop) { run(*options, std::move(stop)); });
  return command;
}

}  // namespace

void add_prune_commands(CLI::App& group) {
  const auto prune_options = std::make_shared<PruneOptions>();
  CLI::App& prune_command = add_command(
      group, "prune", "remove what was deleted, what failed attempts left, and with --retention-days what is old",
      prune_options, prune);
  prune_command.add_option("--retention-days", prune_options->retention_days, "so many days back stay within reach")
      ->check(CLI::Range(1, 365));
  prune_command.add_option("--keep-last", prune_options->keep_last,
                           "confirmed backups of each instance that stay whatever their age");
  prune_command.add_option("--instance", prune_options->instance,
                           "apply the retention to this one only, by name or id");

  const auto delete_options = std::make_shared<PruneOptions>();
  CLI::App& delete_command =
      add_command(group, "delete-backup", "delete one backup, and say what cannot be recovered then", delete_options,
                  delete_backup);
  delete_command.add_option("--instance", delete_options->instance, "by name or id")->required();
  delete_command.add_option("--backup", delete_options->backup, "by id")->required();
  delete_command.add_flag("--force", delete_options->force, "even if it is the last one, or needed");
}

}  // namespace backstay::cli
