#include "cli/operation_commands.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/service_commands.h"

namespace backstay::cli {
namespace {

using core::json::value;

std::string operations_table(const value& operations) {
  Table table({"ID", "WHAT", "SERVICE", "STATE", "STEP", "ATTEMPTS", "CREATED", "FINISHED"});
  for (const auto& operation : operations.as_array()) {
    table.add({cell(operation, "id"), cell(operation, "kind"), cell(operation, "serviceId"), cell(operation, "state"),
               cell(operation, "step"), cell(operation, "attempts"), cell(operation, "createdAt"),
               cell(operation, "finishedAt")});
  }
  return table.render("no operations");
}

std::string operation_page(const value& operation) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const auto* key :
       {"id", "kind", "serviceId", "state", "step", "attempts", "createdAt", "startedAt", "finishedAt"}) {
    pairs.emplace_back(key, cell(operation, key));
  }
  if (const auto* error = core::find_object(core::as_object(operation), "error")) {
    for (const auto* key : {"code", "message", "nextStep"}) {
      if (const auto text = core::find_string(*error, key)) pairs.emplace_back(key, *text);
    }
  }
  return render_pairs(pairs);
}

std::string events_table(const value& events) {
  Table table({"TIME", "EVENT", "SERVICE", "WHAT HAPPENED"});
  for (const auto& event : events.as_array()) {
    table.add({cell(event, "timestamp"), cell(event, "eventName"), cell(event, "serviceId"), cell(event, "body")});
  }
  return table.render("no events");
}

struct ListOptions {
  std::string service;
  std::int64_t limit = 50;
};

void add_list_options(CLI::App& command, ListOptions& options) {
  command.add_option("service", options.service, "only of this service, id or name");
  command.add_option("--limit", options.limit, "at most so many")->check(CLI::Range(1, 1000));
}

Query query_of(CommandContext& context, const ListOptions& options) {
  Query query{{"limit", std::to_string(options.limit)}};
  if (!options.service.empty()) query.emplace_back("serviceId", find_service_id(context, options.service));
  return query;
}

struct EventOptions {
  ListOptions list;
  std::vector<std::string> names;
  std::string severity;
  std::string since;
  std::string until;
  std::int64_t team = 0;
};

void add_filters(Query& query, const EventOptions& options) {
  std::string names;
  for (const auto& name : options.names) names += (names.empty() ? "" : ",") + name;
  for (const auto& [key, text] : {std::pair("name", names), std::pair("severity", options.severity),
                                  std::pair("since", options.since), std::pair("until", options.until)}) {
    if (!text.empty()) query.emplace_back(key, text);
  }
}

}  // namespace

void add_operation_commands(CLI::App& program, CommandContext& context) {
  auto* group = program.add_subcommand("operations", "the work that Backstay does")->require_subcommand(1);
  auto listed = std::make_shared<ListOptions>();
  auto* list = group->add_subcommand("list", "newest first");
  add_list_options(*list, *listed);
  context.add_command(*list, [&context, listed] {
    context.print(context.client().get("/api/operations", query_of(context, *listed)), operations_table);
  });

  auto id = std::make_shared<std::string>();
  auto* show = group->add_subcommand("show", "one operation");
  show->add_option("operation", *id, "its id")->required();
  context.add_command(
      *show, [&context, id] { context.print(context.client().get("/api/operations/" + *id), operation_page); });

  auto timeout_s = std::make_shared<std::int64_t>(3600);
  auto* wait = group->add_subcommand("wait", "wait until it has ended; fails if it fails");
  wait->add_option("operation", *id, "its id")->required();
  wait->add_option("--timeout", *timeout_s, "wait at most so many seconds")->check(CLI::PositiveNumber);
  context.add_command(*wait, [&context, id, timeout_s] {
    context.print(follow_operation(context, *id, std::chrono::seconds(*timeout_s)), operation_page);
  });

  auto* cancel = group->add_subcommand("cancel", "ask it to stop; what it began is undone");
  cancel->add_option("operation", *id, "its id")->required();
  context.add_command(*cancel, [&context, id] {
    context.print(context.client().send("POST", fmt::format("/api/operations/{}/cancel", *id), nullptr),
                  operation_page);
  });
}

void add_events_command(CLI::App& program, CommandContext& context) {
  auto options = std::make_shared<EventOptions>();
  auto* command = program.add_subcommand("events", "what happened, newest first");
  add_list_options(*command, options->list);
  command->add_option("--name", options->names, "only of this name, or 'backup.*' for all that begin so")
      ->delimiter(',');
  command->add_option("--severity", options->severity, "only of this severity or a higher one")
      ->check(CLI::IsMember({"info", "warning", "error"}));
  command->add_option("--since", options->since, "only at this time or later, RFC 3339");
  command->add_option("--until", options->until, "only before this time, RFC 3339");
  command->add_option("--team", options->team, "only of this team");
  context.add_command(*command, [&context, command, options] {
    auto query = query_of(context, options->list);
    if (command->count("--team") > 0) query.emplace_back("team", std::to_string(options->team));
    add_filters(query, *options);
    context.print(context.client().get("/api/events", query), events_table);
  });
}

}  // namespace backstay::cli
