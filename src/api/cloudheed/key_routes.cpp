#include <algorithm>

#include "api/cloudheed/call.h"
#include "api/cloudheed/route_groups.h"
#include "api/dialect_request.h"
#include "api/json_response.h"
#include "core/text.h"

namespace backstay::api::cloudheed {
namespace {

namespace json = core::json;
using control::Principal;
using http::Request;
using http::Response;

constexpr std::string_view kTag = "API keys";
constexpr std::string_view kPrefix = "ch_live_";
constexpr auto kOverlap = std::chrono::hours(1);

/// A scope of the platform: what it allows here, and the one of these that tells whether a token has it.
struct Scopes {
  std::string_view word;
  std::vector<std::string_view> allowed;
};

const std::vector<Scopes>& known_scopes() {
  using namespace model;
  static const std::vector<Scopes> known{
      {"databases:read", {kScopeServicesRead}},
      {"databases:write", {kScopeServicesWrite, kScopeServicesDelete}},
      {"backups:read", {kScopeBackupsRead}},
      {"backups:write", {kScopeBackupsWrite, kScopeBackupsRecover, kScopeBackupsDelete}},
      {"read", {kScopeRead}},
      {"write", {kScopeWrite}},
  };
  return known;
}

/// A restore in place changes a database by a backup: it takes the right to change both.
std::vector<std::string> allowed_by(const std::vector<std::string>& words) {
  std::vector<std::string> allowed;
  const auto has = [&](std::string_view word) { return std::ranges::find(words, word) != words.end(); };
  if (has("databases:write") && has("backups:write")) allowed.emplace_back(model::kScopeRecoverInPlace);
  for (const auto& word : words) {
    const auto known = std::ranges::find(known_scopes(), word, &Scopes::word);
    allowed.insert(allowed.end(), known->allowed.begin(), known->allowed.end());
  }
  return allowed;
}

json::array words_of(const model::Token& token) {
  json::array words;
  for (const auto& scopes : known_scopes()) {
    if (std::ranges::all_of(scopes.allowed, [&](auto scope) { return model::allows_scope(token, scope); })) {
      words.emplace_back(scopes.word);
    }
  }
  return words;
}

/// What can be known of a key's text: this server's other keys begin otherwise.
json::object key_object(const model::Token& token) {
  return {{"id", id_text(kKeyId, token.id)},
          {"name", token.name},
          {"prefix", kPrefix},
          {"key_prefix", kPrefix},
          {"scopes", words_of(token)},
          {"last_used_at", time_value(token.last_used_at)},
          {"expires_at", time_value(token.expires_at)},
          {"created_at", time_value(token.created_at)}};
}

class KeyHandlers {
 public:
  explicit KeyHandlers(const Context& context) : context_(context) {}

  [[nodiscard]] Response create(const Request& request, const Principal& principal) const {
    Body body(request);
    control::CreateTokenRequest wanted;
    wanted.name = body->text("name").value_or("");
    wanted.scopes = allowed_by(body->texts("scopes").value_or(std::vector<std::string>()));
    const auto expires_in = body.word("expires_in");
    body.finish();
    if (expires_in) {
      wanted.expires_at = context_.clock.now() +
                          std::chrono::days(core::parse_int(expires_in->substr(0, expires_in->size() - 1)).value());
    }
    wanted.prefix = kPrefix;
    choose_teams(request, principal, wanted);
    const auto made = context_.commands.create_token(wanted, principal);
    auto object = key_object(made.token);
    object["api_key"] = made.text.reveal();
    return json_response(object, 201);
  }

  [[nodiscard]] Response list(const Request& /*request*/, const Principal& principal) const {
    json::array keys;
    for (const auto& token : context_.queries.tokens(principal)) keys.emplace_back(key_object(token));
    return json_response(json::object{{"api_keys", std::move(keys)}});
  }

  [[nodiscard]] Response get(const Request& request, const Principal& principal) const {
    const auto id = path_id(request, "id", kKeyId);
    for (const auto& token : context_.queries.tokens(principal)) {
      if (token.id == id) return json_response(key_object(token));
    }
    throw core::Error(core::Code::kNotFound, fmt::format("there is no API key '{}'", id_text(kKeyId, id)));
  }

  [[nodiscard]] Response rotate(const Request& request, const Principal& principal) const {
    const auto made = context_.commands.rotate_token(path_id(request, "id", kKeyId), kOverlap, kPrefix, principal);
    auto until = context_.clock.now() + kOverlap;
    if (made.token.expires_at) until = std::min(until, *made.token.expires_at);
    auto object = key_object(made.token);
    for (const auto* key : {"token", "api_key"}) object[key] = made.text.reveal();
    object["previous_token_valid_until"] = time_value(until);
    return json_response(object);
  }

  [[nodiscard]] Response remove(const Request& request, const Principal& principal) const {
    context_.commands.delete_token(path_id(request, "id", kKeyId), principal);
    Response response;
    response.status = 204;
    return response;
  }

 private:
  /// That of the header field, else those that its maker sees.
  void choose_teams(const Request& request, const Principal& principal, control::CreateTokenRequest& wanted) const {
    if (request.headers.find("X-Organization-Id")) {
      wanted.team_ids = {owning_team(context_.queries, request, principal)};
      return;
    }
    wanted.all_teams = principal.all_teams;
    if (!wanted.all_teams) wanted.team_ids.assign(principal.team_ids.begin(), principal.team_ids.end());
  }

  Context context_;
};

json::object creation_schema() {
  json::array words;
  for (const auto& scopes : known_scopes()) words.emplace_back(scopes.word);
  return object_schema(
      {{"name", {{"type", "string"}, {"minLength", 1}, {"maxLength", 100}}},
       {"scopes", {{"type", "array"}, {"minItems", 1}, {"items", {{"type", "string"}, {"enum", std::move(words)}}}}},
       {"expires_in",
        {{"type", json::array{"string", "null"}},
         {"pattern", "^[1-9][0-9]{0,3}d$"},
         {"description", "in days, as '365d'; without it the key does not expire"}}}},
      {"name", "scopes"});
}

json::object key_schema() {
  const auto text = text_schema();
  return object_schema({{"id", text},
                        {"name", text},
                        {"prefix", text},
                        {"key_prefix", text},
                        {"scopes", array_of(text)},
                        {"last_used_at", nullable("string")},
                        {"expires_at", nullable("string")},
                        {"created_at", text},
                        {"api_key", text},
                        {"token", text},
                        {"previous_token_valid_until", text}},
                       {"id", "name", "prefix", "scopes", "expires_at", "created_at"});
}

}  // namespace

void add_key_routes(RouteTable& routes, const Context& context) {
  const KeyHandlers handlers(context);
  const auto add = [&](const Call& call, auto member) {
    routes.add(described(call, kTag), [handlers, member](const Request& request, const Principal& principal) {
      return (handlers.*member)(request, principal);
    });
  };
  add({.method = "POST",
       .path = "/auth/api-keys",
       .operation = "keys-create",
       .summary = "Make an API key; it is shown this once",
       .scope = Scope::kAny,
       .body = creation_schema(),
       .status = 201,
       .answer = key_schema()},
      &KeyHandlers::create);
  add({.method = "GET",
       .path = "/auth/api-keys",
       .operation = "keys-list",
       .summary = "API keys",
       .scope = Scope::kAny,
       .answer = object_schema({{"api_keys", array_of(key_schema())}}, {"api_keys"})},
      &KeyHandlers::list);
  add({.method = "GET",
       .path = "/auth/api-keys/{id}",
       .operation = "keys-get",
       .summary = "One API key",
       .scope = Scope::kAny,
       .answer = key_schema()},
      &KeyHandlers::get);
  add({.method = "POST",
       .path = "/auth/api-keys/{id}/rotate",
       .operation = "keys-rotate",
       .summary = "Another text for an API key; the one before works for an hour more",
       .scope = Scope::kAny,
       .answer = key_schema()},
      &KeyHandlers::rotate);
  add({.method = "DELETE",
       .path = "/auth/api-keys/{id}",
       .operation = "keys-delete",
       .summary = "End an API key at once",
       .scope = Scope::kAny,
       .status = 204},
      &KeyHandlers::remove);
}

}  // namespace backstay::api::cloudheed
