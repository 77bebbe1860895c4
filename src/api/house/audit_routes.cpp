#include "api/house/paging.h"
#include "api/house/request_parts.h"
#include "api/house/resources.h"
#include "api/house/route_groups.h"
#include "core/text.h"

namespace backstay::api::house {
namespace {

using control::Principal;
using http::Request;
namespace json = core::json;

json::object audit_resource(const model::AuditEntry& entry) {
  json::object object{{"id", entry.id},
                      {"sequence", entry.sequence},
                      {"at", core::format_time(entry.at)},
                      {"method", entry.method},
                      {"operation", entry.operation},
                      {"path", entry.path},
                      {"parameters", entry.parameters},
                      {"status", entry.status},
                      {"traceId", entry.trace_id},
                      {"client", entry.client}};
  if (!entry.token_id.empty()) {
    object["token"] = {{"id", entry.token_id},
                       {"name", entry.token_name},
                       {"allTeams", entry.all_teams},
                       {"teamIds", json::array(entry.team_ids.begin(), entry.team_ids.end())}};
  }
  if (!entry.object_id.empty()) object["objectId"] = entry.object_id;
  if (!entry.code.empty()) object["code"] = entry.code;
  if (!entry.request_id.empty()) object["requestId"] = entry.request_id;
  return object;
}

metadata::AuditFilter filter_of(const Request& request, const Page& page) {
  metadata::AuditFilter filter;
  filter.token_id = request.query_value("tokenId").value_or("");
  filter.operation = request.query_value("operation").value_or("");
  filter.object_id = request.query_value("objectId").value_or("");
  filter.refused_only = query_flag(request, "refused", false);
  filter.since = query_time(request, "since");
  filter.until = query_time(request, "until");
  filter.before_sequence = core::parse_int(page.after()).value_or(0);
  filter.limit = page.fetch();
  return filter;
}

std::vector<Parameter> filter_parameters() {
  const json::object text{{"type", "string"}, {"minLength", 1}, {"maxLength", 200}};
  const json::object time{{"type", "string"}, {"format", "date-time"}};
  return {{.name = "tokenId", .description = "only of this token", .schema = text},
          {.name = "operation", .description = "only this call, e.g. managed-services-delete", .schema = text},
          {.name = "objectId", .description = "only about this object", .schema = text},
          {.name = "refused", .description = "true: only what was refused or failed", .schema = {{"type", "boolean"}}},
          {.name = "since", .description = "only at this time or later", .schema = time},
          {.name = "until", .description = "only before this time", .schema = time}};
}

}  // namespace

void add_audit_routes(RouteTable& routes, const Context& context) {
  routes.add({.method = "GET",
              .path = "/audit",
              .operation = "audit-list",
              .tag = "Audit",
              .summary = "Who did what, newest first",
              .description = "Every request that would change something, refused ones too, but for those beyond the "
                             "rate limit. No bodies and no secrets.",
              .scope = Scope::kAdmin,
              .query = filter_parameters(),
              .paged = true,
              .usual_limit = kUsualLimit,
              .answer = array_of(ref("AuditEntry"))},
             [context](const Request& request, const Principal& principal) {
               const Page page(context.queries, request, kUsualLimit);
               return page.answer(context.queries.audit(filter_of(request, page), principal), audit_resource,
                                  [](const auto& entry) { return std::to_string(entry.sequence); });
             });
}

}  // namespace backstay::api::house
