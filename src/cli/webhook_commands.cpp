#include "cli/webhook_commands.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/cell.h"
#include "cli/service_request.h"
#include "cli/table.h"

namespace backstay::cli {
namespace {

using core::json::value;

constexpr const char* kWebhooks = "/api/webhooks";

std::string events_of(const value& webhook) {
  std::string text;
  if (const auto* events = core::find_array(core::as_object(webhook), "events")) {
    for (const auto& event : *events) text += (text.empty() ? "" : ", ") + std::string(event.as_string());
  }
  return text;
}

std::string webhooks_table(const value& webhooks) {
  Table table({"ID", "NAME", "TEAM", "URL", "EVENTS", "ENABLED"});
  for (const auto& webhook : webhooks.as_array()) {
    table.add({cell(webhook, "id"), cell(webhook, "name"), cell(webhook, "teamId"), cell(webhook, "url"),
               events_of(webhook), cell(webhook, "enabled")});
  }
  return table.render("no webhooks");
}

std::string webhook_page(const value& webhook) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const auto* key : {"id", "name", "teamId", "url"}) pairs.emplace_back(key, cell(webhook, key));
  pairs.emplace_back("events", events_of(webhook));
  for (const auto* key : {"enabled", "disabledReason", "failingSince", "createdAt"}) {
    pairs.emplace_back(key, cell(webhook, key));
  }
  return render_pairs(pairs);
}

std::string deliveries_table(const value& deliveries) {
  Table table({"ID", "EVENT", "STATE", "ATTEMPTS", "CREATED", "STATUS", "LAST ERROR"});
  for (const auto& delivery : deliveries.as_array()) {
    table.add({cell(delivery, "id"), cell(delivery, "eventName"), cell(delivery, "state"), cell(delivery, "attempts"),
               cell(delivery, "createdAt"), cell(delivery, "lastStatus"), cell(delivery, "lastError")});
  }
  return table.render("nothing was sent");
}

std::string delivery_line(const value& delivery) {
  return fmt::format("{} {}\n", cell(delivery, "id"), cell(delivery, "state"));
}

struct WebhookOptions {
  std::string id;
  std::string delivery;
  std::string name;
  std::string url;
  std::vector<std::string> events;
  std::int64_t team = 0;
  std::int64_t limit = 50;
  bool enable = false;
  bool disable = false;
};
using SharedOptions = std::shared_ptr<WebhookOptions>;

std::string path_of(const WebhookOptions& options) { return fmt::format("{}/{}", kWebhooks, options.id); }

core::json::array to_array(const std::vector<std::string>& texts) {
  return core::json::array(texts.begin(), texts.end());
}

void add_webhook_list(CLI::App& group, CommandContext& context, const SharedOptions& options) {
  auto* list = group.add_subcommand("list", "all webhooks that the token sees");
  list->add_option("--team", options->team, "only of this team");
  context.add_command(*list, [&context, list, options] {
    Query query;
    if (list->count("--team") > 0) query.emplace_back("team", std::to_string(options->team));
    context.print(context.client().get(kWebhooks, query), webhooks_table);
  });
}

void add_webhook_create(CLI::App& group, CommandContext& context, const SharedOptions& options) {
  auto* command = group.add_subcommand("create", "be told of events; the secret of the signatures is shown this once");
  command->add_option("name", options->name, "its name")->required();
  command->add_option("url", options->url, "where messages go")->required();
  command->add_option("--event", options->events, "a name such as backup.failed, or backup.*; without it all");
  command->add_option("--team", options->team, "team id, 0 for all; not needed where there is only one");
  context.add_command(*command, [&context, command, options] {
    core::json::object body{
        {"teamId", chosen_team(*command, options->team, context)}, {"name", options->name}, {"url", options->url}};
    if (!options->events.empty()) body["events"] = to_array(options->events);
    context.print(context.client().send("POST", kWebhooks, body),
                  [](const value& made) { return fmt::format("{}\n", cell(made, "secret")); });
  });
}

void add_webhook_change(CLI::App& group, CommandContext& context, const SharedOptions& options) {
  auto* command = group.add_subcommand("change", "another name, address or choice of events; on or off");
  command->add_option("webhook", options->id, "its id")->required();
  command->add_option("--name", options->name, "its name");
  command->add_option("--url", options->url, "where messages go");
  command->add_option("--event", options->events, "instead of those that it had");
  auto* enable = command->add_flag("--enable", options->enable, "send again, what happens from now on");
  command->add_flag("--disable", options->disable, "send nothing")->excludes(enable);
  context.add_command(*command, [&context, options] {
    core::json::object body;
    if (!options->name.empty()) body["name"] = options->name;
    if (!options->url.empty()) body["url"] = options->url;
    if (!options->events.empty()) body["events"] = to_array(options->events);
    if (options->enable || options->disable) body["enabled"] = options->enable;
    context.print(context.client().send("PATCH", path_of(*options), body), webhook_page);
  });
}

void add_webhook_delete(CLI::App& group, CommandContext& context, const SharedOptions& options) {
  auto* command = group.add_subcommand("delete", "delete a webhook with its deliveries");
  command->add_option("webhook", options->id, "its id")->required();
  context.add_command(*command, [&context, options] {
    context.print(context.client().send("DELETE", path_of(*options), nullptr),
                  [&](const value&) { return fmt::format("webhook {} is deleted\n", options->id); });
  });
}

void add_deliveries(CLI::App& group, CommandContext& context, const SharedOptions& options) {
  auto* test = group.add_subcommand("test", "send a message 'webhook.test'");
  test->add_option("webhook", options->id, "its id")->required();
  context.add_command(*test, [&context, options] {
    context.print(context.client().send("POST", path_of(*options) + "/test", nullptr), delivery_line);
  });

  auto* list = group.add_subcommand("deliveries", "what was sent, and what became of it, newest first");
  list->add_option("webhook", options->id, "its id")->required();
  list->add_option("--limit", options->limit, "at most so many")->check(CLI::Range(1, 1000));
  context.add_command(*list, [&context, options] {
    const Query query{{"limit", std::to_string(options->limit)}};
    context.print(context.client().get(path_of(*options) + "/deliveries", query), deliveries_table);
  });

  auto* again = group.add_subcommand("redeliver", "send a message once more");
  again->add_option("webhook", options->id, "its id")->required();
  again->add_option("delivery", options->delivery, "the message's id")->required();
  context.add_command(*again, [&context, options] {
    const auto path = fmt::format("{}/deliveries/{}/redeliver", path_of(*options), options->delivery);
    context.print(context.client().send("POST", path, nullptr), delivery_line);
  });
}

}  // namespace

void add_webhook_commands(CLI::App& program, CommandContext& context) {
  auto* group = program.add_subcommand("webhooks", "who is told of events over HTTP")->require_subcommand(1);
  auto options = std::make_shared<WebhookOptions>();
  add_webhook_list(*group, context, options);
  auto* show = group->add_subcommand("show", "one webhook");
  show->add_option("webhook", options->id, "its id")->required();
  context.add_command(*show,
                      [&context, options] { context.print(context.client().get(path_of(*options)), webhook_page); });
  add_webhook_create(*group, context, options);
  add_webhook_change(*group, context, options);
  add_webhook_delete(*group, context, options);
  add_deliveries(*group, context, options);
}

}  // namespace backstay::cli
