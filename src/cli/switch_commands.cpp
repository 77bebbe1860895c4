#include "cli/switch_commands.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/cell.h"
#include "cli/service_commands.h"
#include "cli/table.h"
#include "core/error.h"

namespace backstay::cli {
namespace {

using core::json::value;

struct RestoreOptions : WaitOptions {
  std::string service;
  std::string time;
  std::string backup;
  std::string name;
  std::string into = "candidate";
};

core::json::object restore_body(CommandContext& context, const RestoreOptions& options) {
  core::json::object body{{"serviceId", find_service_id(context, options.service)}, {"into", options.into}};
  if (!options.time.empty()) body["time"] = options.time;
  if (!options.backup.empty()) body["backupId"] = options.backup;
  if (!options.name.empty()) body["name"] = options.name;
  return body;
}

/// The recovery, and where it takes the service's place the switch-over that it asks for.
void follow_recovery(CommandContext& context, const std::string& id, std::chrono::seconds at_most) {
  const value recovery = follow_operation(context, id, at_most);
  const auto* result = core::find_object(core::as_object(recovery), "result");
  const auto next = result == nullptr ? std::nullopt : core::find_string(*result, "switchOperationId");
  if (next) follow_operation(context, *next, at_most);
}

void add_restore(CLI::App& group, CommandContext& context) {
  auto options = std::make_shared<RestoreOptions>();
  auto* command = group.add_subcommand("restore", "recover a past state into a candidate that can take its place");
  command->add_option("service", options->service, "id or name")->required();
  auto* time = command->add_option("--time", options->time, "RFC 3339; without it the latest state");
  command->add_option("--backup", options->backup, "or the state of this backup of it")->excludes(time);
  command->add_option("--name", options->name, "of the candidate; made from the service's if not given");
  command->add_option("--into", options->into, "candidate, new (a service of its own) or in-place (switch at once)");
  add_wait_options(*command, *options);
  context.add_command(*command, [&context, options] {
    const value answer = context.client().send("POST", "/api/recoveries", restore_body(context, *options));
    const std::string operation = cell(answer, "operationId");
    if (options->wait) follow_recovery(context, operation, std::chrono::seconds(options->timeout_s));
    context.print(answer, [&](const value& shown) {
      return fmt::format("{} {} from {}\n", cell(shown.at("service"), "name"),
                         options->wait ? "was recovered" : "is being recovered", cell(shown, "description"));
    });
  });
}

void add_switch(CLI::App& group, CommandContext& context) {
  struct SwitchOptions : WaitOptions {
    std::string service;
    std::string candidate;
    std::string instance;
    bool back = false;
  };
  auto options = std::make_shared<SwitchOptions>();
  auto* command = group.add_subcommand("switch", "let a service go on with the data of its newest candidate");
  command->add_option("service", options->service, "id or name")->required();
  auto* candidate = command->add_option("--candidate", options->candidate, "this candidate, id or name");
  command->add_option("--instance", options->instance, "an instance that it had before: switch back")
      ->excludes(candidate);
  command->add_flag("--back", options->back, "to the data that served last before")->excludes(candidate);
  add_wait_options(*command, *options);
  context.add_command(*command, [&context, options] {
    core::json::object body;
    if (!options->candidate.empty()) body["candidateId"] = find_service_id(context, options->candidate);
    if (!options->instance.empty()) body["instanceId"] = options->instance;
    if (options->back) body["back"] = true;
    const std::string id = find_service_id(context, options->service);
    finish_change(context, context.client().send("POST", fmt::format("{}/{}/switch", kServices, id), body), *options);
  });
}

std::string instances_table(const value& instances) {
  Table table({"ID", "STATE", "SERVED FROM", "UNTIL", "KEPT UNTIL"});
  for (const auto& instance : instances.as_array()) {
    const auto& served = instance.at("served").as_array();
    const value none;
    const value& last = served.empty() ? none : served.back();
    table.add({cell(instance, "id"), cell(instance, "state"), cell(last, "from"), cell(last, "until"),
               cell(instance, "keptUntil")});
  }
  return table.render("no instances");
}

void add_instances(CLI::App& group, CommandContext& context) {
  auto service = std::make_shared<std::string>();
  auto* command = group.add_subcommand("instances", "the bodies of data that a service has and had");
  command->add_option("service", *service, "id or name")->required();
  context.add_command(*command, [&context, service] {
    const std::string id = find_service_id(context, *service);
    context.print(context.client().get(fmt::format("{}/{}/instances", kServices, id)), instances_table);
  });
}

}  // namespace

void add_switch_commands(CLI::App& group, CommandContext& context) {
  add_restore(group, context);
  add_switch(group, context);
  add_instances(group, context);
}

}  // namespace backstay::cli
