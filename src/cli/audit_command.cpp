#include "cli/audit_command.h"

#include <CLI/CLI.hpp>

#include "cli/cell.h"
#include "cli/table.h"

namespace backstay::cli {
namespace {

using core::json::value;

struct AuditOptions {
  std::string token;
  std::string operation;
  std::string object;
  std::string since;
  std::string until;
  bool refused = false;
  std::int64_t limit = 50;
};

std::string audit_table(const value& entries) {
  Table table({"TIME", "TOKEN", "CALL", "OBJECT", "STATUS", "CODE", "FROM"});
  for (const auto& entry : entries.as_array()) {
    const auto* token = core::find_object(core::as_object(entry), "token");
    table.add({cell(entry, "at"), token == nullptr ? "" : cell(*token, "name"), cell(entry, "operation"),
               cell(entry, "objectId"), cell(entry, "status"), cell(entry, "code"), cell(entry, "client")});
  }
  return table.render("nothing was done");
}

Query query_of(const AuditOptions& options) {
  Query query{{"limit", std::to_string(options.limit)}};
  const auto add = [&](const char* name, const std::string& text) {
    if (!text.empty()) query.emplace_back(name, text);
  };
  add("tokenId", options.token);
  add("operation", options.operation);
  add("objectId", options.object);
  if (options.refused) query.emplace_back("refused", "true");
  add("since", options.since);
  add("until", options.until);
  return query;
}

}  // namespace

void add_audit_command(CLI::App& program, CommandContext& context) {
  auto options = std::make_shared<AuditOptions>();
  auto* command = program.add_subcommand("audit", "who did what, newest first");
  command->add_option("--token", options->token, "only of the token with this id");
  command->add_option("--operation", options->operation, "only this call, e.g. managed-services-delete");
  command->add_option("--object", options->object, "only about the object with this id");
  command->add_flag("--refused", options->refused, "only what was refused or failed");
  command->add_option("--since", options->since, "only at this time or later, RFC 3339");
  command->add_option("--until", options->until, "only before this time, RFC 3339");
  command->add_option("--limit", options->limit, "at most so many")->check(CLI::Range(1, 1000));
  context.add_command(*command, [&context, options] {
    context.print(context.client().get("/api/audit", query_of(*options)), audit_table);
  });
}

}  // namespace backstay::cli
