// POST /oauth2/{authServer}/v1/token: client credentials, as RFC 6749 has them.
#include <algorithm>
#include <array>
#include <map>

#include <fmt/format.h>

#include "api/guidewire/guidewire_routes.h"
#include "api/guidewire/oauth.h"
#include "api/json_response.h"
#include "core/error.h"
#include "core/text.h"
#include "model/team.h"

namespace backstay::api::guidewire {
namespace {

namespace json = core::json;
using control::Principal;
using core::Code;
using core::Error;
using http::Request;
using http::Response;

/// What a scope of the platform is in Backstay's; with spaces between.
struct ScopeMeaning {
  std::string_view name;
  std::string_view scopes;
};
constexpr std::array<ScopeMeaning, 4> kMeanings{{{"gcc.deployments.read", "backups:read"},
                                                 {"gcc.deployments.write", "backups:write backups:delete"},
                                                 {"gcc.projects.read", "services:read"},
                                                 {"gcc.projects.write", "backups:recover recover-in-place"}}};
constexpr std::string_view kAnyTenant = "any.tenant";
constexpr std::string_view kTenant = "tenant.";
constexpr std::string_view kProject = "project.";

Error invalid_scope(const std::string& message) { return {Code::kForbidden, message}; }

void take_scope(control::AccessRequest& wanted, const std::string& word) {
  if (word == kAnyTenant) return;
  if (word.starts_with(kTenant) && word.size() > kTenant.size()) {
    if (wanted.team_slugs) wanted.team_slugs->push_back(word.substr(kTenant.size()));
  } else if (!word.starts_with(kProject)) {
    const auto* meaning = std::ranges::find(kMeanings, word, &ScopeMeaning::name);
    if (meaning == kMeanings.end()) throw invalid_scope(fmt::format("the scope '{}' is not known", word));
    for (auto& scope : core::split(meaning->scopes, ' ')) wanted.scopes.push_back(std::move(scope));
  }
}

void take_scopes(control::AccessRequest& wanted, std::string_view text) {
  for (const auto& word : core::split(text, ' ')) {
    if (!word.empty()) wanted.grants.push_back(word);
  }
  if (wanted.grants.empty()) throw invalid_scope("no scope was asked for");
  // A token of no tenant sees none; the calls say which scope it lacks.
  wanted.team_slugs.emplace();
  if (std::ranges::find(wanted.grants, kAnyTenant) != wanted.grants.end()) wanted.team_slugs.reset();
  for (const auto& word : wanted.grants) take_scope(wanted, word);
}

/// In the body, or by Basic authentication; not both.
void take_client(control::AccessRequest& wanted, const Request& request, const FormFields& form) {
  const auto basic = basic_credentials(request);
  const auto id = form.find("client_id");
  const auto secret = form.find("client_secret");
  if (basic && secret != form.end()) {
    throw Error(Code::kInvalidArgument, "the client is named both in the body and by Basic authentication");
  }
  if (basic) {
    wanted.client_id = basic->first;
    wanted.client_secret = basic->second;
  } else if (id != form.end() && secret != form.end()) {
    wanted.client_id = id->second;
    wanted.client_secret = core::Secret(secret->second);
  } else {
    throw Error(Code::kUnauthenticated, "client_id and client_secret are missing");
  }
}

Response granted(const Context& context, const Request& request) {
  const auto form = form_of(request);
  const auto type = form.find("grant_type");
  if (type == form.end()) throw Error(Code::kInvalidArgument, "grant_type is missing");
  if (type->second != "client_credentials") {
    throw Error(Code::kNotSupported, fmt::format("the grant type '{}' is not known", type->second));
  }
  control::AccessRequest wanted;
  take_client(wanted, request, form);
  const auto scope = form.find("scope");
  take_scopes(wanted, scope == form.end() ? "" : scope->second);
  try {
    const auto made = context.access.grant(wanted);
    const auto length = *made.token.expires_at - made.token.created_at;
    return json_response(json::object{{"token_type", "Bearer"},
                                      {"expires_in", std::chrono::duration_cast<std::chrono::seconds>(length).count()},
                                      {"access_token", made.text.reveal()},
                                      {"scope", fmt::format("{}", fmt::join(wanted.grants, " "))}});
  } catch (const Error& error) {
    if (error.code() == Code::kUnauthenticated) static_cast<void>(context.limits.take_address(request.client));
    throw;
  }
}

}  // namespace

void add_token_routes(RouteTable& routes, const Context& context) {
  const json::object text{{"type", "string"}};
  routes.add(
      {.method = "POST",
       .path = "/oauth2/{authServer}/v1/token",
       .operation = "guidewire-token",
       .tag = "Guidewire",
       .summary = "An access token of an hour for a client",
       .description = "A form: grant_type=client_credentials, client_id (a token's id), client_secret (the token), "
                      "scope. The client may also be named by Basic authentication.",
       .base = Base::kRoot,
       .scope = Scope::kOpen,
       .path_parameters = {{.name = "authServer", .description = "any word", .schema = text}},
       .answer =
           {{"type", "object"},
            {"required", json::array{"token_type", "expires_in", "access_token", "scope"}},
            {"properties",
             {{"token_type", text}, {"expires_in", {{"type", "integer"}}}, {"access_token", text}, {"scope", text}}}},
       .refusal = oauth_refusal_schema(),
       .more_refusals = {{401, "the client is unknown, or its secret is wrong"}}},
      [context](const Request& request, const Principal& /*nobody*/) { return granted(context, request); });
}

}  // namespace backstay::api::guidewire
