#include "api/house/paging.h"
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

core::json::object provider_resource(const model::ProviderDefinition& offer) { return model::to_json(offer); }

std::vector<Parameter> provider_in_path() {
  return {{.name = "name", .description = "", .schema = {{"type", "string"}}},
          {.name = "schemaVersion", .description = "", .schema = {{"type", "string"}}}};
}

Response not_supported(const Request& /*request*/, const Principal& /*principal*/) {
  throw core::Error(core::Code::kNotSupported, "the catalogue cannot be changed over the API yet")
      .with_hint("the providers of this server are built in; list them with GET /managed-services/providers");
}

}  // namespace

void add_provider_routes(RouteTable& routes, const Context& context) {
  control::Queries& queries = context.queries;
  routes.add({.method = "GET",
              .path = "/managed-services/providers",
              .operation = "managed-services-listProviders",
              .tag = "Providers",
              .summary = "List the providers that the token, or the team, can use",
              .base = Base::kContract,
              .query = team_parameters(),
              .paged = true,
              .answer = array_of(ref("Provider"))},
             [&queries](const Request& request, const Principal& principal) {
               return Page(queries, request)
                   .answer_from(queries.providers(query_team(request), principal), provider_resource,
                                [](const auto& offer) { return offer.name + '/' + offer.version; });
             });
  const auto add_not_supported = [&](Endpoint endpoint) {
    endpoint.tag = "Providers";
    endpoint.base = Base::kContract;
    endpoint.scope = Scope::kAdmin;
    endpoint.answer = ref("Provider");
    routes.add(endpoint, not_supported);
  };
  add_not_supported({.method = "POST",
                     .path = "/managed-services/providers",
                     .operation = "managed-services-createProvider",
                     .summary = "Publish a provider; not there yet",
                     .body = ref("ProviderBody")});
  add_not_supported({.method = "PUT",
                     .path = "/managed-services/providers",
                     .operation = "managed-services-upsertProvider",
                     .summary = "Publish or replace a provider; not there yet",
                     .body = ref("ProviderBody")});
  add_not_supported({.method = "PATCH",
                     .path = "/managed-services/providers/{name}/{schemaVersion}",
                     .operation = "managed-services-updateProvider",
                     .summary = "Change a provider; not there yet",
                     .path_parameters = provider_in_path(),
                     .body = ref("ProviderBody")});
  add_not_supported({.method = "DELETE",
                     .path = "/managed-services/providers/{name}/{schemaVersion}",
                     .operation = "managed-services-deleteProvider",
                     .summary = "Withdraw a provider; not there yet",
                     .path_parameters = provider_in_path()});
}

}  // namespace backstay::api::house
