#include "cli/backup_change_commands.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/cell.h"
#include "cli/operation_progress.h"
#include "cli/table.h"

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

std::string verification_page(const value& backup) {
  const auto* seen = core::find_object(core::as_object(backup), "verification");
  if (seen == nullptr) return fmt::format("backup {} was not verified\n", cell(backup, "id"));
  std::vector<std::pair<std::string, std::string>> pairs{{"backup", cell(backup, "id")}};
  for (const auto* key : {"outcome", "at", "timeToFirstQuerySeconds", "recoveryTimeSeconds", "problem", "nextStep"}) {
    if (const auto text = cell(value(*seen), key); !text.empty()) pairs.emplace_back(key, text);
  }
  if (const auto* checks = core::find_object(*seen, "checks")) {
    for (const auto* key : {"databases", "relations", "tables", "indexes", "pages"}) {
      pairs.emplace_back(key, cell(value(*checks), key));
    }
  }
  return render_pairs(pairs);
}

void add_verify(CLI::App& group, CommandContext& context) {
  struct VerifyOptions : WaitOptions {
    std::string backup;
  };
  auto options = std::make_shared<VerifyOptions>();
  auto* command = group.add_subcommand("verify", "restore one backup to a place of its own, to see that it works");
  command->add_option("backup", options->backup, "its id")->required();
  add_wait_options(*command, *options);
  context.add_command(*command, [&context, options] {
    const std::string path = "/api/backups/" + options->backup;
    const value operation = context.client().send("POST", path + "/verify", nullptr);
    if (!options->wait) {
      return context.print(operation, [options](const value& entered) {
        return fmt::format("operation {} verifies backup {}\n", cell(entered, "id"), options->backup);
      });
    }
    follow_operation(context, cell(operation, "id"), std::chrono::seconds(options->timeout_s));
    context.print(context.client().get(path), verification_page);
  });
}

}  // namespace

void add_backup_change_commands(CLI::App& group, CommandContext& context) {
  add_backup_delete(group, context);
  add_verify(group, context);
  add_pin(group, context, "pin", "keep one backup whatever the retention says", true);
  add_pin(group, context, "unpin", "leave a pinned backup to the retention again", false);
}

}  // namespace backstay::cli
