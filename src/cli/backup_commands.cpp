#include "cli/backup_commands.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/backup_change_commands.h"
#include "cli/service_commands.h"
#include "core/error.h"

namespace backstay::cli {
namespace {

using core::Code;
using core::Error;
using core::json::value;

std::string backups_table(const value& backups) {
  Table table({"ID", "MECHANISM", "ORIGIN", "STATE", "TAKEN", "STORED", "CONFIRMED", "VERIFIED", "DATA", "IN STORE"});
  for (const auto& backup : backups.as_array()) {
    table.add({cell(backup, "id"), cell(backup, "mechanism"), cell(backup, "origin"), cell(backup, "state"),
               cell(backup, "takenAt"), cell(backup, "storedAt"), cell(backup, "confirmedAt"),
               cell(backup, "verifiedAt"), bytes_cell(backup, "dataBytes"), bytes_cell(backup, "storedBytes")});
  }
  return table.render("no backups");
}

std::string backup_page(const value& backup) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const auto* key : {"id", "serviceId", "mechanism", "origin", "state", "scheduledAt", "initiatedAt", "takenAt",
                          "storedAt", "confirmedAt", "verifiedAt"}) {
    pairs.emplace_back(key, cell(backup, key));
  }
  pairs.emplace_back("data", bytes_cell(backup, "dataBytes"));
  pairs.emplace_back("in the store", bytes_cell(backup, "storedBytes"));
  if (backup.as_object().contains("readBytes")) pairs.emplace_back("read", bytes_cell(backup, "readBytes"));
  pairs.emplace_back("took",
                     backup.as_object().contains("durationSeconds") ? cell(backup, "durationSeconds") + " s" : "");
  pairs.emplace_back("pinned", cell(backup, "pinned"));
  for (const auto* key : {"baseId", "fullReason", "expiresAt", "label", "removalReason", "error", "nextStep"}) {
    if (const auto text = cell(backup, key); !text.empty()) pairs.emplace_back(key, text);
  }
  return render_pairs(pairs);
}

std::string window_page(const value& window) {
  std::string out = render_pairs({{"earliest", cell(window, "earliest")}, {"latest", cell(window, "latest")}});
  const auto* windows = core::find_array(core::as_object(window), "windows");
  if (windows == nullptr) return out;
  Table table({"FROM", "TO", "CANNOT BE REACHED BECAUSE"});
  for (const auto& part : *windows) {
    for (const auto& gap : part.at("gaps").as_array()) {
      table.add({cell(gap, "from"), cell(gap, "to"), cell(gap, "reason")});
    }
  }
  return out + "\n" + table.render("no gaps");
}

/// Waits until the backup was read back from the store, or failed.
value wait_for_backup(CommandContext& context, const std::string& id, std::chrono::seconds at_most) {
  const value ended = poll_until(context, "/api/backups/" + id, "backup " + id, at_most, [](const value& backup) {
    const std::string state = cell(backup, "state");
    return state == "failed" || state == "deleted" || !cell(backup, "confirmedAt").empty();
  });
  if (cell(ended, "confirmedAt").empty()) {
    throw Error(Code::kInternal, fmt::format("backup {} failed: {}", id, cell(ended, "error")))
        .with_hint(cell(ended, "nextStep"));
  }
  return ended;
}

void add_backup_create(CLI::App& group, CommandContext& context) {
  struct BackupOptions : WaitOptions {
    std::string service;
    bool logical = false;
    bool full = false;
    std::string destination;
    std::string label;
    std::string expires_at;
    std::int64_t temporary_days = 0;
    bool turn_on = false;
  };
  auto options = std::make_shared<BackupOptions>();
  auto* command = group.add_subcommand("create", "take a backup now");
  command->add_option("service", options->service, "id or name")->required();
  command->add_flag("--logical", options->logical,
                    "a dump, which goes into any later major version and can be had as SQL");
  command->add_flag("--full", options->full, "read and store all of the data, not only what has changed");
  command->add_option("--destination", options->destination,
                      "where it goes (id) instead of where the service's backups go");
  command->add_option("--label", options->label, "a word to know it by");
  command->add_option("--expires-at", options->expires_at, "kept until then instead of for the retention, RFC 3339");
  command->add_option("--temporary-days", options->temporary_days, "kept for so many days");
  command->add_flag("--turn-backups-on", options->turn_on, "with it, where backups of the service are off");
  add_wait_options(*command, *options);
  context.add_command(*command, [&context, options] {
    const std::string id = find_service_id(context, options->service);
    core::json::object wanted;
    if (options->temporary_days != 0) wanted["temporaryDays"] = options->temporary_days;
    if (options->turn_on) wanted["turnBackupsOn"] = true;
    if (options->logical) wanted["mechanism"] = "logical";
    if (options->full) wanted["full"] = true;
    if (!options->destination.empty()) wanted["destinationId"] = options->destination;
    if (!options->label.empty()) wanted["label"] = options->label;
    if (!options->expires_at.empty()) wanted["expiresAt"] = options->expires_at;
    const value body = wanted.empty() ? value() : value(std::move(wanted));
    const value entry = context.client().send("POST", fmt::format("{}/{}/backups", kServices, id), body);
    if (!options->wait) {
      return context.print(entry,
                           [](const value& made) { return fmt::format("backup {} is scheduled\n", cell(made, "id")); });
    }
    context.print(wait_for_backup(context, cell(entry, "id"), std::chrono::seconds(options->timeout_s)), backup_page);
  });
}

/// Under another name until it is whole: a download that broke off must not be taken for a dump.
void download_to_file(CommandContext& context, const std::string& path, const std::filesystem::path& target) {
  const auto unfinished = std::filesystem::path(target).concat(".part");
  const auto file = context.files().create(unfinished, 0600);
  try {
    context.client().download(path, [&](core::ByteSpan part) { file->append(part); });
    file->sync();
    file->close();
  } catch (...) {
    context.files().remove(unfinished);
    throw;
  }
  context.files().rename(unfinished, target);
}

void add_download(CLI::App& group, CommandContext& context) {
  struct BackupOptions {
    std::string backup;
    std::string file;
  };
  auto options = std::make_shared<BackupOptions>();
  auto* command = group.add_subcommand("download", "a logical backup as SQL for psql");
  command->add_option("backup", options->backup, "its id")->required();
  command->add_option("-o,--output", options->file, "the file to make, or - for standard output")->required();
  context.add_plain_command(*command, [&context, options] {
    const std::string path = "/api/backups/" + options->backup + "/dump";
    if (options->file != "-") return download_to_file(context, path, options->file);
    context.client().download(path, [&](core::ByteSpan part) { context.terminal().out(core::as_text(part)); });
  });
}

}  // namespace

void add_backup_commands(CLI::App& program, CommandContext& context) {
  auto* group = program.add_subcommand("backups", "the backups of a service")->require_subcommand(1);
  auto wanted = std::make_shared<std::string>();
  auto* list = group->add_subcommand("list", "all backups with their four facts");
  list->add_option("service", *wanted, "id or name")->required();
  context.add_command(*list, [&context, wanted] {
    const std::string id = find_service_id(context, *wanted);
    context.print(context.client().get("/api/backups", {{"serviceId", id}}), backups_table);
  });
  auto* show = group->add_subcommand("show", "one backup");
  show->add_option("backup", *wanted, "its id")->required();
  context.add_command(
      *show, [&context, wanted] { context.print(context.client().get("/api/backups/" + *wanted), backup_page); });
  add_backup_create(*group, context);
  add_backup_change_commands(*group, context);
  add_download(*group, context);
}

void add_window_command(CLI::App& program, CommandContext& context) {
  auto service = std::make_shared<std::string>();
  auto* command = program.add_subcommand("window", "from when to when a service can be recovered");
  command->add_option("service", *service, "id or name")->required();
  context.add_command(*command, [&context, service] {
    const std::string id = find_service_id(context, *service);
    context.print(context.client().get(fmt::format("{}/{}/recovery-window", kServices, id)), window_page);
  });
}

}  // namespace backstay::cli
