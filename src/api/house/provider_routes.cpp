#include "api/entity_tags.h"
#include "api/house/paging.h"
#include "api/house/request_parts.h"
#include "api/house/resources.h"
#include "api/house/route_groups.h"
#include "api/json_response.h"
#include "core/error.h"

namespace backstay::api::house {
namespace {

using control::Principal;
using http::Request;
using http::Response;

constexpr const char* kProviders = "/managed-services/providers";
constexpr const char* kProvider = "/managed-services/providers/{name}/{schemaVersion}";

/// With the teams of its scope, as far as the token sees them.
core::json::object provider_resource(const model::ProviderDefinition& offer, const Principal& principal) {
  auto resource = model::to_json(offer);
  if (offer.scope.global) return resource;
  core::json::array teams;
  for (const auto team : offer.scope.team_ids) {
    if (principal.sees_team(team)) teams.emplace_back(team);
  }
  resource["teamIds"] = std::move(teams);
  return resource;
}

std::vector<Parameter> provider_in_path() {
  return {{.name = "name", .description = "", .schema = {{"type", "string"}}},
          {.name = "schemaVersion", .description = "", .schema = {{"type", "string"}}}};
}

Response list(control::Queries& queries, const Request& request, const Principal& principal) {
  return Page(queries, request)
      .answer_from(
          queries.providers(query_team(request), principal),
          [&](const auto& offer) { return provider_resource(offer, principal); },
          [](const auto& offer) { return offer.name + '/' + offer.version; });
}

/// `subject` is "<name>/<version>".
core::json::object resource_of(control::Queries& queries, const Principal& principal, const std::string& subject) {
  for (const auto& offer : queries.providers(std::nullopt, principal)) {
    if (offer.name + '/' + offer.version == subject) return provider_resource(offer, principal);
  }
  throw core::Error(core::Code::kNotFound, fmt::format("there is no provider '{}'", subject));
}

core::json::object resource_in_path(control::Queries& queries, const Request& request, const Principal& principal) {
  return resource_of(queries, principal, request.param("name") + '/' + request.param("schemaVersion"));
}

control::ProviderCommands::Precondition as_seen(const Request& request, const Principal& principal) {
  return [&](const model::ProviderDefinition& offer) {
    require_match(request, body_tag(core::to_text(provider_resource(offer, principal))), "provider");
  };
}

Response answer_of(const control::ProviderCommands::Change& change, control::Effect effect,
                   const Principal& principal) {
  return json_response(effect == control::Effect::kDryRun ? preview_resource(change.preview)
                                                          : provider_resource(change.provider, principal));
}

Endpoint endpoint(std::string method, std::string path, std::string operation, std::string summary) {
  return {.method = std::move(method),
          .path = std::move(path),
          .operation = std::move(operation),
          .tag = "Providers",
          .summary = std::move(summary),
          .base = Base::kContract,
          .scope = Scope::kWrite,
          .answer = ref("Provider")};
}

}  // namespace

void add_provider_routes(RouteTable& routes, const Context& context) {
  control::Queries& queries = context.queries;
  control::ProviderCommands& commands = context.providers;

  auto listing = endpoint("GET", kProviders, "managed-services-listProviders",
                          "List the providers that the token, or the team, can use");
  listing.scope = Scope::kRead;
  listing.query = team_parameters();
  listing.paged = true;
  listing.answer = array_of(ref("Provider"));
  routes.add(listing, [&queries](const Request& request, const Principal& principal) {
    return list(queries, request, principal);
  });

  auto creation = endpoint("POST", kProviders, "managed-services-createProvider", "Publish a provider");
  creation.description = "For all teams with the scope 'admin', else for teams that the token sees. 409 if it exists.";
  creation.body = ref("ProviderBody");
  creation.more_refusals = {{409, "a provider of this name and version exists"}};
  routes.add(
      creation,
      [&commands](const Request& request, const Principal& principal) {
        return json_response(provider_resource(commands.create(json_body(request), principal), principal));
      },
      [&queries](const Request& /*request*/, const Principal& principal, const std::string& subject) {
        return json_response(resource_of(queries, principal, subject));
      });

  auto single = endpoint("GET", kProvider, "providers-get", "One provider");
  single.scope = Scope::kRead;
  single.path_parameters = provider_in_path();
  single.tagged = true;
  routes.add(single, [&queries](const Request& request, const Principal& principal) {
    return json_response(resource_in_path(queries, request, principal));
  });

  auto replacement = endpoint("PUT", kProviders, "managed-services-upsertProvider", "Publish or replace a provider");
  replacement.body = ref("ProviderBody");
  replacement.previewed = true;
  routes.add(replacement, [&commands](const Request& request, const Principal& principal) {
    const auto effect = query_effect(request);
    return answer_of(commands.upsert(json_body(request), principal, effect), effect, principal);
  });

  auto change = endpoint("PATCH", kProvider, "managed-services-updateProvider",
                         "Change a provider: the keys that are given are replaced");
  change.path_parameters = provider_in_path();
  change.conditional = true;
  change.body = ref("ProviderBody");
  change.previewed = true;
  routes.add(change, [&commands](const Request& request, const Principal& principal) {
    const auto effect = query_effect(request);
    return answer_of(commands.update(request.param("name"), request.param("schemaVersion"), json_body(request),
                                     principal, effect, as_seen(request, principal)),
                     effect, principal);
  });

  auto removal = endpoint("DELETE", kProvider, "managed-services-deleteProvider",
                          "Withdraw a provider; its services show 'invalid provider' until it is published again");
  removal.scope = Scope::kDelete;
  removal.path_parameters = provider_in_path();
  removal.previewed = true;
  removal.conditional = true;
  removal.answer = ref("Empty");
  routes.add(removal, [&commands](const Request& request, const Principal& principal) {
    const auto effect = query_effect(request);
    const auto preview = commands.remove(request.param("name"), request.param("schemaVersion"), principal, effect,
                                         as_seen(request, principal));
    return json_response(effect == control::Effect::kDryRun ? preview_resource(preview) : core::json::object());
  });
}

}  // namespace backstay::api::house
