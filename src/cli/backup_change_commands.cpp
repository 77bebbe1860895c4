#include "cli/backup_change_commands.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/cell.h"

namespace backstay::cli {
namespace {

using core::json::value;

struct BackupChangeOptions {
  std::string backup;
  std::string label;
};

void add_backup_delete(CLI::App& group, CommandContext& context) {
  auto options = std::make_shared<BackupChangeOptions>();
  auto* command = group.add_subcommand("delete", "delete one backup; what others rest on is refused");
  command->add_option("backup", options->backup, "its id")->required();
  context.add_command(*command, [&context, options] {
    context.print(context.client().send("DELETE", "/api/backups/" + options->backup, nullptr), [](const value& backup) {
      return fmt::format("backup {} is hidden now and removed from its store later\n", cell(backup, "id"));
    });
  });
}

void add_pin(CLI::App& group, CommandContext& context, const std::string& name, const std::string& help, bool pinned) {
  auto options = std::make_shared<BackupChangeOptions>();
  auto* command = group.add_subcommand(name, help);
  command->add_option("backup", options->backup, "its id")->required();
  if (pinned) command->add_option("--label", options->label, "a word to know it by");
  context.add_command(*command, [&context, options, pinned] {
    core::json::object change{{"pinned", pinned}};
    if (!options->label.empty()) change["label"] = options->label;
    context.print(context.client().send("PATCH", "/api/backups/" + options->backup, change),
                  [pinned](const value& backup) {
                    return fmt::format("backup {} {}\n", cell(backup, "id"),
                                       pinned ? "stays until it is unpinned" : "goes when the retention says so");
                  });
  });
}

}  // namespace

void add_backup_change_commands(CLI::App& group, CommandContext& context) {
  add_backup_delete(group, context);
  add_pin(group, context, "pin", "keep one backup whatever the retention says", true);
  add_pin(group, context, "unpin", "leave a pinned backup to the retention again", false);
}

}  // namespace backstay::cli
