#include "metadata/audit.h"

#include "metadata/query.h"

namespace backstay::metadata {
namespace {

model::AuditEntry read_entry(const Row& row) {
  model::AuditEntry entry;
  entry.id = row.text("id");
  entry.sequence = row.integer("sequence");
  entry.at = row.time("at");
  entry.token_id = row.text("token_id");
  entry.token_name = row.text("token_name");
  entry.all_teams = row.flag("all_teams");
  for (const auto& team : row.array("team_ids")) entry.team_ids.push_back(team.to_number<std::int64_t>());
  entry.method = row.text("method");
  entry.operation = row.text("operation");
  entry.path = row.text("path");
  entry.object_id = row.text("object_id");
  entry.parameters = row.object("parameters");
  entry.status = row.integer("status");
  entry.code = row.text("code");
  entry.trace_id = row.text("trace_id");
  entry.request_id = row.text("request_id");
  entry.client = row.text("client");
  return entry;
}

Conditions conditions_of(const AuditFilter& filter) {
  Conditions conditions;
  const auto equals = [&](const std::string& column, const std::string& value) {
    if (value.empty()) return;
    conditions.add(column + " = :" + column);
    conditions.values().set(column, value);
  };
  equals("token_id", filter.token_id);
  equals("operation", filter.operation);
  equals("object_id", filter.object_id);
  if (filter.refused_only) conditions.add("status >= 400");
  if (filter.since) {
    conditions.add("at >= :since");
    conditions.values().set("since", *filter.since);
  }
  if (filter.until) {
    conditions.add("at < :until");
    conditions.values().set("until", *filter.until);
  }
  if (filter.before_sequence > 0) {
    conditions.add("sequence < :before_sequence");
    conditions.values().set("before_sequence", filter.before_sequence);
  }
  return conditions;
}

}  // namespace

void Audit::append(const model::AuditEntry& entry) {
  const core::json::array teams(entry.team_ids.begin(), entry.team_ids.end());
  insert(tx_, "audit",
         Values()
             .set("sequence", next_number(tx_, "audit"))
             .set("id", entry.id)
             .set("at", entry.at)
             .set("token_id", entry.token_id)
             .set("token_name", entry.token_name)
             .set("all_teams", entry.all_teams)
             .set("team_ids", teams)
             .set("method", entry.method)
             .set("operation", entry.operation)
             .set("path", entry.path)
             .set("object_id", entry.object_id)
             .set("parameters", entry.parameters)
             .set("status", entry.status)
             .set("code", entry.code)
             .set("trace_id", entry.trace_id)
             .set("request_id", entry.request_id)
             .set("client", entry.client));
}

std::vector<model::AuditEntry> Audit::list(const AuditFilter& filter) {
  auto conditions = conditions_of(filter);
  return Query(tx_, "SELECT * FROM audit" + conditions.where() + " ORDER BY sequence DESC" + limit_clause(filter.limit))
      .bind(conditions.values())
      .list<model::AuditEntry>(read_entry);
}

std::size_t Audit::prune(core::Timestamp older_than) {
  return Query(tx_, "DELETE FROM audit WHERE at < :older_than").bind(Values().set("older_than", older_than)).run();
}

}  // namespace backstay::metadata
