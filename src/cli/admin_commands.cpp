#include "cli/admin_commands.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/key_values.h"
#include "cli/service_request.h"
#include "cli/table.h"
#include "core/error.h"

namespace backstay::cli {
namespace {

using core::json::value;

/// "read, write" of an array of texts or numbers.
std::string list_cell(const value& answer, std::string_view key) {
  const auto* items = core::find_array(core::as_object(answer), key);
  std::string out;
  if (items == nullptr) return out;
  for (const auto& item : *items) {
    out += fmt::format("{}{}", out.empty() ? "" : ", ",
                       item.is_string() ? std::string(item.get_string()) : core::to_text(item));
  }
  return out;
}

std::string destinations_table(const value& destinations) {
  Table table({"ID", "NAME", "TEAM", "ADDRESS", "ENDPOINT", "DEFAULT"});
  for (const auto& destination : destinations.as_array()) {
    table.add({cell(destination, "id"), cell(destination, "name"), cell(destination, "teamId"),
               cell(destination, "url"), cell(destination, "endpointUrl"), cell(destination, "isDefault")});
  }
  return table.render("no destinations");
}

std::string destination_page(const value& destination) {
  std::string out = render_pairs({{"id", cell(destination, "id")},
                                  {"name", cell(destination, "name")},
                                  {"address", cell(destination, "url")},
                                  {"endpoint", cell(destination, "endpointUrl")}});
  const auto* checks = core::find_array(core::as_object(destination), "checks");
  if (checks == nullptr) return out;
  Table table({"CHECK", "PASSED", "NEEDED", "WHAT WAS SEEN"});
  for (const auto& check : *checks) {
    table.add({cell(check, "name"), cell(check, "passed"), cell(check, "essential"), cell(check, "message")});
  }
  return out + "\n" + table.render("not probed");
}

std::string tokens_table(const value& tokens) {
  Table table({"ID", "NAME", "ROLE", "SCOPES", "TEAMS", "CREATED", "EXPIRES", "LAST USED"});
  for (const auto& token : tokens.as_array()) {
    table.add({cell(token, "id"), cell(token, "name"), cell(token, "role"), list_cell(token, "scopes"),
               cell(token, "allTeams") == "yes" ? "all" : list_cell(token, "teamIds"), cell(token, "createdAt"),
               cell(token, "expiresAt"), cell(token, "lastUsedAt")});
  }
  return table.render("no tokens");
}

std::string teams_table(const value& teams) {
  Table table({"ID", "NAME", "SLUG"});
  for (const auto& team : teams.as_array()) table.add({cell(team, "id"), cell(team, "name"), cell(team, "slug")});
  return table.render("no teams");
}

void add_deletion(CLI::App& group, CommandContext& context, const std::string& what, const std::string& path) {
  auto id = std::make_shared<std::string>();
  auto* command = group.add_subcommand("delete", fmt::format("delete a {}", what));
  command->add_option(what, *id, "its id")->required();
  context.add_command(*command, [&context, id, what, path] {
    context.print(context.client().send("DELETE", path + "/" + *id, nullptr),
                  [&](const value&) { return fmt::format("{} {} is deleted\n", what, *id); });
  });
}

void add_destination_create(CLI::App& group, CommandContext& context) {
  struct AdminOptions {
    std::string name;
    std::int64_t team = 0;
    std::vector<std::string> config;
    std::vector<std::string> secret_files;
  };
  auto options = std::make_shared<AdminOptions>();
  auto* command = group.add_subcommand("create", "probe a store and keep it as a destination");
  command->add_option("name", options->name, "its name")->required();
  command->add_option("--team", options->team, "team id; not needed where there is only one");
  command
      ->add_option("--config", options->config,
                   "destinationPath=s3://bucket/prefix, endpointUrl=…, region=…, provider=r2, accountId=…")
      ->required()
      ->type_name("KEY=VALUE");
  command->add_option("--secret-file", options->secret_files, "accessKey=FILE, secretKey=FILE")->type_name("KEY=FILE");
  context.add_command(*command, [&context, options, command] {
    const core::json::object body{
        {"teamId", chosen_team(*command, options->team, context)},
        {"name", options->name},
        {"config", parse_key_values(options->config)},
        {"secrets", read_secrets(options->secret_files, {}, context.files(), context.terminal())}};
    context.print(context.client().send("POST", "/api/destinations", body), destination_page);
  });
}

void add_destination_update(CLI::App& group, CommandContext& context) {
  struct AdminOptions {
    std::string id;
    std::string name;
    std::vector<std::string> config;
    std::vector<std::string> secret_files;
  };
  auto options = std::make_shared<AdminOptions>();
  auto* command = group.add_subcommand("update", "give a destination another name, other keys or another place");
  command->add_option("destination", options->id, "its id")->required();
  command->add_option("--name", options->name, "its new name");
  command->add_option("--config", options->config, "what changes of it, such as region=…")->type_name("KEY=VALUE");
  command->add_option("--secret-file", options->secret_files, "accessKey=FILE, secretKey=FILE")->type_name("KEY=FILE");
  context.add_command(*command, [&context, options] {
    core::json::object body;
    if (!options->name.empty()) body["name"] = options->name;
    if (!options->config.empty()) body["config"] = parse_key_values(options->config);
    if (!options->secret_files.empty()) {
      body["secrets"] = read_secrets(options->secret_files, {}, context.files(), context.terminal());
    }
    context.print(context.client().send("PATCH", "/api/destinations/" + options->id, body), destination_page);
  });
}

void add_destination_lose(CLI::App& group, CommandContext& context) {
  struct AdminOptions {
    std::string id;
    std::string name;
  };
  auto options = std::make_shared<AdminOptions>();
  auto* command = group.add_subcommand("lost", "give a destination up for ever, with all that is stored there");
  command->add_option("destination", options->id, "its id")->required();
  command->add_option("--name", options->name, "its name, to make sure that it is the right one")->required();
  context.add_command(*command, [&context, options] {
    context.print(
        context.client().send("POST", "/api/destinations/" + options->id + "/lost", {{"name", options->name}}),
        destination_page);
  });
}

void add_token_create(CLI::App& group, CommandContext& context) {
  struct AdminOptions {
    std::string name;
    std::vector<std::string> scopes;
    std::string role;
    std::vector<std::int64_t> teams;
    std::string expires_at;
  };
  auto options = std::make_shared<AdminOptions>();
  auto* command = group.add_subcommand("create", "make a token; it is shown this once");
  command->add_option("name", options->name, "what it is for")->required();
  command->add_option(
      "--scope", options->scopes,
      "read, write, change, delete, recover-in-place, metrics or admin; for a part backups:read, services:write …");
  command->add_option("--role", options->role, "viewer, operator or admin");
  command->add_option("--team", options->teams, "a team that it may act for");
  command->add_option("--expires-at", options->expires_at, "when it ends, RFC 3339");
  context.add_command(*command, [&context, options] {
    core::json::object body{{"name", options->name},
                            {"scopes", core::json::array(options->scopes.begin(), options->scopes.end())},
                            {"teamIds", core::json::array(options->teams.begin(), options->teams.end())}};
    if (!options->role.empty()) body["role"] = options->role;
    if (!options->expires_at.empty()) body["expiresAt"] = options->expires_at;
    context.print(context.client().send("POST", "/api/tokens", body),
                  [](const value& made) { return fmt::format("{}\n", cell(made, "token")); });
  });
}

}  // namespace

void add_destination_commands(CLI::App& program, CommandContext& context) {
  auto* group = program.add_subcommand("destinations", "where backups go")->require_subcommand(1);
  auto team = std::make_shared<std::int64_t>(0);
  auto* list = group->add_subcommand("list", "all destinations that the token sees");
  list->add_option("--team", *team, "team id");
  context.add_command(*list, [&context, list, team] {
    Query query;
    if (list->count("--team") > 0) query.emplace_back("team", std::to_string(*team));
    context.print(context.client().get("/api/destinations", query), destinations_table);
  });
  add_destination_create(*group, context);
  add_destination_update(*group, context);
  add_destination_lose(*group, context);
  add_deletion(*group, context, "destination", "/api/destinations");
}

void add_token_commands(CLI::App& program, CommandContext& context) {
  auto* group = program.add_subcommand("tokens", "who may call the API")->require_subcommand(1);
  context.add_command(*group->add_subcommand("list", "all tokens, never their text"),
                      [&context] { context.print(context.client().get("/api/tokens"), tokens_table); });
  add_token_create(*group, context);
  add_deletion(*group, context, "token", "/api/tokens");
}

void add_team_commands(CLI::App& program, CommandContext& context) {
  auto* group = program.add_subcommand("teams", "who owns things")->require_subcommand(1);
  context.add_command(*group->add_subcommand("list", "all teams that the token sees"),
                      [&context] { context.print(context.client().get("/api/teams"), teams_table); });
  auto name = std::make_shared<std::string>();
  auto* create = group->add_subcommand("create", "make a team");
  create->add_option("name", *name, "its name")->required();
  context.add_command(*create, [&context, name] {
    context.print(
        context.client().send("POST", "/api/teams", core::json::object{{"name", *name}}),
        [](const value& team) { return fmt::format("team {} '{}'\n", cell(team, "id"), cell(team, "name")); });
  });
  auto id = std::make_shared<std::int64_t>(0);
  auto* kit = group->add_subcommand("recovery-kit", "print what opens the team's backups without this server");
  kit->add_option("team", *id, "team id")->required();
  context.add_command(*kit, [&context, id] {
    context.print(context.client().send("POST", fmt::format("/api/teams/{}/recovery-kit", *id), nullptr),
                  [](const value& answer) { return cell(answer, "text"); });
  });
}

}  // namespace backstay::cli
