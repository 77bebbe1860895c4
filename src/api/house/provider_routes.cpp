#include "api/house/request_parts.h"
#include "api/house/route_groups.h"
#include "api/json_response.h"
#include "core/error.h"
#include "model/catalogue.h"

namespace backstay::api::house {
namespace {

using control::Principal;
using http::Request;
using http::Response;

/// The catalogue entry with `backend`, which the contract requires. A built-in one has no address that anybody could
/// call, and says so.
core::json::object provider_resource(const model::ProviderDefinition& offer) {
  core::json::object resource = model::to_json(offer);
  resource["backend"] = {{"api", {{"endpoint", "builtin:" + offer.kind}}}};
  return resource;
}

Response not_supported(const Request& /*request*/, const Principal& principal) {
  control::require_admin(principal);
  throw core::Error(core::Code::kNotSupported, "the catalogue cannot be changed over the API yet")
      .with_hint("the providers of this server are built in; list them with GET /managed-services/providers");
}

}  // namespace

void add_provider_routes(http::Router& router, const Context& context) {
  control::Queries& queries = context.queries;
  add_contract(router, context, "GET", "/managed-services/providers",
               [&queries](const Request& request, const Principal& principal) {
                 control::require_read(principal);
                 if (const auto team = query_team(request)) static_cast<void>(queries.team(*team, principal));
                 core::json::array array;
                 for (const auto& offer : queries.catalogue().all()) array.push_back(provider_resource(offer));
                 return json_response(array);
               });
  add_contract(router, context, "POST", "/managed-services/providers", not_supported);
  add_contract(router, context, "PUT", "/managed-services/providers", not_supported);
  add_contract(router, context, "PATCH", "/managed-services/providers/{name}/{schemaVersion}", not_supported);
  add_contract(router, context, "DELETE", "/managed-services/providers/{name}/{schemaVersion}", not_supported);
}

}  // namespace backstay::api::house
