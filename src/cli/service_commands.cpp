#include "cli/service_commands.h"

#include <functional>
#include <set>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/import_command.h"
#include "cli/operation_progress.h"
#include "cli/service_output.h"
#include "cli/service_request.h"
#include "cli/switch_commands.h"
#include "core/error.h"
#include "core/random.h"

namespace backstay::cli {
namespace {

using core::Code;
using core::Error;
using core::json::value;

void confirm_deletion(CommandContext& context, const std::string& name, const std::string& confirmed) {
  if (!confirmed.empty()) {
    if (confirmed == name) return;
    throw Error(Code::kConfigError, fmt::format("--confirm says '{}', the service is '{}'", confirmed, name))
        .with_hint("nothing was deleted");
  }
  if (!context.terminal().interactive()) {
    throw Error(Code::kConfigError, "deleting needs the service's name as a confirmation")
        .with_hint(fmt::format("add --confirm '{}'", name));
  }
  const auto answer = context.terminal().ask(fmt::format("This deletes '{}' and its data. Type its name: ", name));
  if (answer != name) {
    throw Error(Code::kConfigError, fmt::format("'{}' is not '{}'", answer, name)).with_hint("nothing was deleted");
  }
}

void add_service_list(CLI::App& group, CommandContext& context) {
  struct Options {
    std::int64_t team = 0;
    bool deleted = false;
  };
  auto* command = group.add_subcommand("list", "the services of a team, or all that the token sees");
  auto options = std::make_shared<Options>();
  command->add_option("--team", options->team, "team id");
  command->add_flag("--deleted", options->deleted, "those too that were deleted and are still on record");
  context.add_command(*command, [&context, options, command] {
    Query query{{"includeDeleted", options->deleted ? "true" : "false"}};
    if (command->count("--team") > 0) query.emplace_back("team", std::to_string(options->team));
    context.print(context.client().get(std::string(kServices), query), services_table);
  });
}

void add_service_show(CLI::App& group, CommandContext& context) {
  auto service = std::make_shared<std::string>();
  auto* command = group.add_subcommand("show", "one service with its recent events");
  command->add_option("service", *service, "id or name")->required();
  context.add_command(*command, [&context, service] { context.print(find_service(context, *service), service_page); });
}

void add_details(CLI::App& group, CommandContext& context) {
  auto service = std::make_shared<std::string>();
  auto* command = group.add_subcommand("details", "how to connect: host, port, dsn");
  command->add_option("service", *service, "id or name")->required();
  context.add_command(*command, [&context, service] {
    const std::string id = find_service_id(context, *service);
    context.print(context.client().get(fmt::format("{}/{}/details", kServices, id)), details_page);
  });
}

void add_service_create(CLI::App& group, CommandContext& context) {
  struct Options : ServiceOptions, WaitOptions {};
  auto options = std::make_shared<Options>();
  auto* command = group.add_subcommand("create", "deploy a service");
  command->add_option("name", options->name, "its name")->required();
  command->add_option("--team", options->team, "team id; not needed where there is only one");
  command->add_option("--provider", options->provider, "name or name:version, e.g. postgresql:15")->required();
  add_plan_options(*command, *options);
  add_backup_options(*command, *options);
  add_wait_options(*command, *options);
  context.add_command(*command, [&context, options, command] {
    options->team = chosen_team(*command, options->team, context);
    const value answer = context.client().send("POST", std::string(kServices), creation_body(*options, context));
    finish_change(context, answer, *options);
  });
}

void add_service_update(CLI::App& group, CommandContext& context) {
  struct Options : ServiceOptions, WaitOptions {
    std::string service;
  };
  auto options = std::make_shared<Options>();
  auto* command = group.add_subcommand("update", "change name, plan, settings, secrets or backups");
  command->add_option("service", options->service, "id or name")->required();
  command->add_option("--name", options->name, "its new name");
  add_plan_options(*command, *options);
  add_backup_options(*command, *options);
  add_wait_options(*command, *options);
  context.add_command(*command, [&context, options, command] {
    const auto body = update_body(*command, *options, context);
    if (body.empty()) throw Error(Code::kConfigError, "nothing to change was given").with_hint("see --help");
    const std::string id = find_service_id(context, options->service);
    finish_change(context, context.client().send("PATCH", fmt::format("{}/{}", kServices, id), body), *options);
  });
}

void add_service_delete(CLI::App& group, CommandContext& context) {
  struct Options : WaitOptions {
    std::string service;
    std::string confirmed;
    std::string final_backup;
  };
  auto options = std::make_shared<Options>();
  auto* command = group.add_subcommand("delete", "delete a service and its data; asks for its name");
  command->add_option("service", options->service, "id or name")->required();
  command->add_option("--confirm", options->confirmed, "the service's name, where nobody can be asked");
  command->add_option("--final-backup", options->final_backup, "required (the default), best-effort or skip");
  add_wait_options(*command, *options);
  context.add_command(*command, [&context, options] {
    const value service = find_service(context, options->service);
    confirm_deletion(context, cell(service, "name"), options->confirmed);
    const std::string query = options->final_backup.empty() ? "" : "?finalBackup=" + options->final_backup;
    const std::string path = fmt::format("{}/{}{}", kServices, cell(service, "id"), query);
    const value answer = context.client().send("DELETE", path, nullptr);
    const std::string operation = cell(answer, "operationId");
    if (options->wait && !operation.empty()) {
      follow_operation(context, operation, std::chrono::seconds(options->timeout_s));
    }
    context.print(answer, [&](const value&) {
      return fmt::format("'{}' is {}\n", cell(service, "name"), options->wait ? "deleted" : "being deleted");
    });
  });
}

/// A command that changes one service and takes nothing but its name.
void add_service_change(CLI::App& group, CommandContext& context, const std::string& name, const std::string& what,
                        const std::function<value(const std::string& id)>& change) {
  struct Options : WaitOptions {
    std::string service;
  };
  auto options = std::make_shared<Options>();
  auto* command = group.add_subcommand(name, what);
  command->add_option("service", options->service, "id or name")->required();
  add_wait_options(*command, *options);
  context.add_command(*command, [&context, options, change] {
    finish_change(context, change(find_service_id(context, options->service)), *options);
  });
}

void add_changes(CLI::App& group, CommandContext& context) {
  const auto set_pause = [&context](bool pause) {
    return [&context, pause](const std::string& id) {
      return context.client().send("PATCH", fmt::format("{}/{}", kServices, id), {{"pause", pause}});
    };
  };
  add_service_change(group, context, "pause", "stop its server and keep its data", set_pause(true));
  add_service_change(group, context, "resume", "start a paused service again", set_pause(false));
  add_service_change(group, context, "undelete", "bring a deleted service back (by its id)",
                     [&context](const std::string& id) {
                       return context.client().send("POST", fmt::format("{}/{}/undelete", kServices, id), nullptr);
                     });
}

}  // namespace

value find_service(CommandContext& context, const std::string& id_or_name) {
  const value services = context.client().get(std::string(kServices), {{"includeDeleted", "true"}});
  const std::string_view key = core::is_uuid(id_or_name) ? "id" : "name";
  std::vector<value> found;
  for (const auto& service : services.as_array()) {
    if (cell(service, key) == id_or_name && (key == "id" || state_of(service) != "deleted")) found.push_back(service);
  }
  if (found.empty()) throw Error(Code::kNotFound, fmt::format("there is no service '{}'", id_or_name));
  if (found.size() == 1) return found.front();
  std::string ids;
  for (const auto& service : found) ids += fmt::format(" {}", cell(service, "id"));
  throw Error(Code::kConfigError, fmt::format("{} services are named '{}':{}", found.size(), id_or_name, ids))
      .with_hint("name it by its id");
}

std::string find_service_id(CommandContext& context, const std::string& id_or_name) {
  return core::is_uuid(id_or_name) ? id_or_name : cell(find_service(context, id_or_name), "id");
}

namespace {

value wait_for_service(CommandContext& context, const value& answer, std::chrono::seconds at_most) {
  const std::string id = cell(answer, "id");
  const std::string operation = cell(answer, "operationId");
  if (!operation.empty()) {
    follow_operation(context, operation, at_most);
    return find_service(context, id);
  }
  value service = answer;
  poll_until(context, std::string(kServices) + "?includeDeleted=true", "service " + id, at_most, [&](const value& all) {
    for (const auto& item : all.as_array()) {
      if (cell(item, "id") == id) service = item;
    }
    const std::string state = state_of(service);
    static const std::set<std::string> under_way{"creating", "updating", "pausing", "unpausing", "deleting"};
    return !under_way.contains(state);
  });
  return service;
}

}  // namespace

void finish_change(CommandContext& context, const value& answer, const WaitOptions& wait) {
  context.print(wait.wait ? wait_for_service(context, answer, std::chrono::seconds(wait.timeout_s)) : answer,
                service_page);
}

void add_service_commands(CLI::App& program, CommandContext& context) {
  auto* group = program.add_subcommand("services", "what a team deployed")->require_subcommand(1);
  add_service_list(*group, context);
  add_service_show(*group, context);
  add_details(*group, context);
  add_service_create(*group, context);
  add_service_update(*group, context);
  add_changes(*group, context);
  add_switch_commands(*group, context);
  add_import_command(*group, context);
  add_service_delete(*group, context);
}

}  // namespace backstay::cli
