#include "api/lnchr/call.h"

#include <fmt/format.h>

#include "api/lnchr/dialect.h"
#include "core/random.h"
#include "core/text.h"

namespace backstay::api::lnchr {

namespace json = core::json;
using core::Code;
using core::Error;

Endpoint described(const Call& call, std::string_view tag) {
  Endpoint endpoint{.method = call.method,
                    .path = "/api/v1" + call.path,
                    .operation = "lnchr-" + call.operation,
                    .tag = fmt::format("Lnchr: {}", tag),
                    .summary = call.summary,
                    .description = call.description,
                    .base = Base::kTenant,
                    .scope = call.scope,
                    .query = call.query,
                    .body = call.body,
                    .body_optional = call.body_optional,
                    .uploads = call.uploads,
                    .status = call.status,
                    .refusal = refusal_schema(),
                    .more_refusals = {{404, "what the path names does not exist for this token"},
                                      {501, "understood, and not there; the message says why"}}};
  if (!call.data.empty()) endpoint.answer = success_schema(call.data);
  return endpoint;
}

std::optional<std::int64_t> tenant_of(control::Queries& queries, const http::Request& request,
                                      const control::Principal& principal) {
  const auto named = request.params.find(kTenantParameter);
  if (named == request.params.end()) return std::nullopt;
  for (const auto& team : queries.teams(principal)) {
    if (team.slug == named->second) return team.id;
  }
  throw not_found("tenant");
}

std::int64_t owning_team(control::Queries& queries, const http::Request& request, const control::Principal& principal) {
  if (const auto tenant = tenant_of(queries, request, principal)) return *tenant;
  const auto teams = queries.teams(principal);
  if (teams.size() == 1) return teams.front().id;
  throw Error(Code::kInvalidArgument,
              fmt::format("this token sees {} tenants, and the path names none of them", teams.size()))
      .with_hint("put the tenant in front of the path: /<tenant>/api/v1/…");
}

std::string path_id(const http::Request& request, std::string_view what, std::string_view parameter) {
  const std::string& id = request.param(parameter);
  if (!core::is_uuid(id)) throw not_found(what);
  return core::to_lower(id);
}

Error not_found(std::string_view what) { return {Code::kNotFound, fmt::format("{} not found", what)}; }

}  // namespace backstay::api::lnchr
