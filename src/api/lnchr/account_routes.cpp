#include "api/lnchr/call.h"
#include "api/lnchr/dialect.h"
#include "api/lnchr/route_groups.h"
#include "api/lnchr/schemas.h"
#include "core/error.h"

namespace backstay::api::lnchr {
namespace {

namespace json = core::json;
using control::Principal;
using core::Code;
using core::Error;
using http::Request;
using http::Response;

const FieldNames& field_names() {
  static const FieldNames names{{"/firstName", "/first_name"},
                                {"/lastName", "/last_name"},
                                {"/currentPassword", "/current_password"},
                                {"/newPassword", "/new_password"},
                                {"/expiresAt", "/expires_at"}};
  return names;
}

json::object user_resource(const model::Account& account) {
  return {{"id", account.id},
          {"email", account.email},
          {"first_name", account.first_name},
          {"last_name", account.last_name},
          {"role", model::to_text(account.role)},
          {"must_reset_password", false},
          {"two_factor_enabled", false},
          {"created_at", core::format_time(account.created_at)},
          {"updated_at", core::format_time(account.updated_at)}};
}

json::object session_resource(const control::Session& session) {
  return {{"token", session.token.text.reveal()},
          {"expires_at", core::format_time(session.token.token.expires_at.value())},
          {"user", user_resource(session.account)}};
}

json::object key_resource(const model::Token& token) {
  json::object object{{"id", token.id},
                      {"name", token.name},
                      {"scopes", json::array(token.scopes.begin(), token.scopes.end())},
                      {"created_at", core::format_time(token.created_at)}};
  if (token.expires_at) object["expires_at"] = core::format_time(*token.expires_at);
  if (token.last_used_at) object["last_used_at"] = core::format_time(*token.last_used_at);
  return object;
}

class Handlers {
 public:
  explicit Handlers(const Context& context) : context_(context) {}

  [[nodiscard]] Response setup_status(const Request& /*request*/, const Principal& /*nobody*/) const {
    return success(json::object{{"is_setup_complete", context_.accounts.is_set_up()}});
  }

  [[nodiscard]] Response enrol(const Request& request, const Principal& /*nobody*/) const {
    Body body(request);
    control::CreateAccountRequest wanted;
    wanted.email = body->text("email").value_or("");
    wanted.password = core::Secret(body->text("password").value_or(""));
    wanted.first_name = body->text("first_name").value_or("");
    wanted.last_name = body->text("last_name").value_or("");
    body.finish();
    const bool shows_token = request.headers.find("Authorization") || request.headers.find("x-lnchr-key");
    const auto caller = shows_token ? std::optional(context_.authentication.require(request)) : std::nullopt;
    return in_own_words(field_names(), [&] {
      return success(session_resource(context_.accounts.register_first(wanted, caller ? &*caller : nullptr)), 201);
    });
  }

  [[nodiscard]] Response login(const Request& request, const Principal& /*nobody*/) const {
    Body body(request);
    const auto email = body->text("email").value_or("");
    const core::Secret password(body->text("password").value_or(""));
    body.finish();
    return success(session_resource(context_.accounts.login(email, password, request.client)));
  }

  [[nodiscard]] Response logout(const Request& /*request*/, const Principal& principal) const {
    context_.accounts.logout(principal);
    return success(json::object());
  }

  [[nodiscard]] Response me(const Request& /*request*/, const Principal& principal) const {
    return success(user_resource(context_.accounts.me(principal)));
  }

  [[nodiscard]] Response change_me(const Request& request, const Principal& principal) const {
    Body body(request);
    control::ChangeAccountRequest wanted;
    wanted.first_name = body->text("first_name");
    wanted.last_name = body->text("last_name");
    body.finish();
    return in_own_words(field_names(),
                        [&] { return success(user_resource(context_.accounts.change_me(wanted, principal))); });
  }

  [[nodiscard]] Response change_password(const Request& request, const Principal& principal) const {
    Body body(request);
    const core::Secret current(body->text("current_password").value_or(""));
    const core::Secret wanted(body->text("new_password").value_or(""));
    body.finish();
    return in_own_words(field_names(), [&] {
      context_.accounts.change_password(current, wanted, principal, request.client);
      return success(json::object());
    });
  }

  [[nodiscard]] Response refuse(const Request& /*request*/, const Principal& /*principal*/) const {
    throw Error(Code::kNotSupported, "nobody logs in by a code sent by e-mail: this server sends no e-mail")
        .with_hint("log in with a password, or use a service key");
  }

  [[nodiscard]] Response list_keys(const Request& /*request*/, const Principal& principal) const {
    json::array found;
    for (const auto& token : context_.queries.tokens(principal)) {
      if (token.kind == model::TokenKind::kKey && !token.revoked_at) found.push_back(key_resource(token));
    }
    return success(found);
  }

  [[nodiscard]] Response make_key(const Request& request, const Principal& principal) const {
    Body body(request);
    control::CreateTokenRequest wanted;
    wanted.name = body->text("name").value_or("");
    wanted.expires_at = body->time("expires_at");
    // Everything but accounts and keys themselves.
    const std::vector<std::string> usual{std::string(principal.may_write ? model::kScopeWrite : model::kScopeRead)};
    wanted.scopes = body->texts("scopes").value_or(usual);
    body.finish();
    const auto tenant = tenant_of(context_.queries, request, principal);
    wanted.all_teams = !tenant && principal.all_teams;
    if (tenant) {
      wanted.team_ids = {*tenant};
    } else if (!principal.all_teams) {
      wanted.team_ids.assign(principal.team_ids.begin(), principal.team_ids.end());
    }
    return in_own_words(field_names(), [&] {
      const auto made = context_.commands.create_token(wanted, principal);
      auto resource = key_resource(made.token);
      resource["key"] = made.text.reveal();
      return success(resource, 201);
    });
  }

  [[nodiscard]] Response remove_key(const Request& request, const Principal& principal) const {
    constexpr std::string_view kKey = "service key";
    const auto id = path_id(request, kKey);
    try {
      context_.commands.delete_token(id, principal);
    } catch (const Error& error) {
      if (error.code() == Code::kNotFound) throw not_found(kKey);
      throw;
    }
    Response gone;
    gone.status = 204;
    return gone;
  }

 private:
  Context context_;
};

json::object bounded(std::size_t least, std::size_t most) {
  return {{"type", "string"}, {"minLength", least}, {"maxLength", most}};
}

json::object maybe(json::object schema) {
  schema["type"] = json::array{schema.at("type"), "null"};
  return schema;
}

json::object user_schema() {
  const json::object flag{{"type", "boolean"}};
  return object_schema({{"id", uuid_schema()},
                        {"email", text_schema()},
                        {"first_name", text_schema()},
                        {"last_name", text_schema()},
                        {"role", text_schema()},
                        {"must_reset_password", flag},
                        {"two_factor_enabled", flag},
                        {"created_at", time_schema()},
                        {"updated_at", time_schema()}},
                       {"id", "email", "first_name", "last_name", "role", "created_at", "updated_at"});
}

json::object session_schema() {
  return object_schema({{"token", text_schema()}, {"expires_at", time_schema()}, {"user", user_schema()}},
                       {"token", "expires_at", "user"});
}

json::object key_schema() {
  return object_schema({{"id", uuid_schema()},
                        {"name", text_schema()},
                        {"key", {{"type", "string"}, {"description", "in the answer of its creation only"}}},
                        {"scopes", array_of(text_schema())},
                        {"created_at", time_schema()},
                        {"expires_at", time_schema()},
                        {"last_used_at", time_schema()}},
                       {"id", "name", "scopes", "created_at"});
}

json::object names_schema() {
  return object_schema({{"first_name", maybe(bounded(0, 100))}, {"last_name", maybe(bounded(0, 100))}}, {});
}

json::object enrolment_schema() {
  auto fields = names_schema().at("properties").as_object();
  fields["email"] = bounded(1, 320);
  fields["password"] = bounded(1, 1000);
  return object_schema(fields, {"email", "password"});
}

/// Adds calls to one table.
class Adder {
 public:
  Adder(RouteTable& routes, const Context& context) : routes_(routes), handlers_(context) {}

  void operator()(std::string_view tag, const Call& call,
                  Response (Handlers::*member)(const Request&, const Principal&) const,
                  const std::vector<std::pair<int, std::string>>& refusals = {}) const {
    auto endpoint = described(call, tag);
    endpoint.more_refusals.insert(endpoint.more_refusals.end(), refusals.begin(), refusals.end());
    routes_.add(endpoint, [handlers = handlers_, member](const Request& request, const Principal& principal) {
      return (handlers.*member)(request, principal);
    });
  }

 private:
  RouteTable& routes_;
  Handlers handlers_;
};

constexpr std::string_view kAuth = "authentication";
constexpr std::string_view kKeys = "service keys";

json::object nothing() { return object_schema({}, {}); }

/// Without a token, as there is none yet.
void add_beginnings(const Adder& add) {
  add(kAuth,
      {.method = "GET",
       .path = "/auth/setup-status",
       .operation = "auth-getSetupStatus",
       .summary = "Whether somebody has an account yet",
       .scope = Scope::kOpen,
       .data = object_schema({{"is_setup_complete", {{"type", "boolean"}}}}, {"is_setup_complete"})},
      &Handlers::setup_status);
  add(kAuth,
      {.method = "POST",
       .path = "/auth/register",
       .operation = "auth-register",
       .summary = "Make the first account, a superadmin's, and log it in",
       .description = "With an administrator's token, unless the operator lets whoever comes first do it.",
       .scope = Scope::kOpen,
       .body = enrolment_schema(),
       .status = 201,
       .data = session_schema()},
      &Handlers::enrol,
      {{401, "the token that came with it is not valid"}, {403, "only for the operator"}, {409, "there is one"}});
  add(kAuth,
      {.method = "POST",
       .path = "/auth/login",
       .operation = "auth-login",
       .summary = "Log in with an e-mail address and a password",
       .scope = Scope::kOpen,
       .body = object_schema({{"email", bounded(1, 320)}, {"password", bounded(1, 1000)}}, {"email", "password"}),
       .data = session_schema()},
      &Handlers::login, {{401, "not valid"}, {429, "too many have failed"}});
  for (const std::string what : {"send-code", "verify-code"}) {
    add(kAuth,
        {.method = "POST",
         .path = "/auth/" + what,
         .operation = what == "send-code" ? "auth-sendCode" : "auth-verifyCode",
         .summary = "Log in by a code sent by e-mail: refused",
         .scope = Scope::kOpen,
         .data = nothing()},
        &Handlers::refuse);
  }
}

void add_own(const Adder& add) {
  add(kAuth,
      {.method = "POST",
       .path = "/auth/logout",
       .operation = "auth-logout",
       .summary = "Log out",
       .scope = Scope::kAny,
       .data = nothing()},
      &Handlers::logout);
  add(kAuth,
      {.method = "GET",
       .path = "/auth/me",
       .operation = "auth-getMe",
       .summary = "Who has logged in",
       .scope = Scope::kAny,
       .data = user_schema()},
      &Handlers::me, {{409, "the token belongs to no account"}});
  add(kAuth,
      {.method = "PUT",
       .path = "/auth/me",
       .operation = "auth-changeMe",
       .summary = "Change one's own name",
       .scope = Scope::kAny,
       .body = names_schema(),
       .data = user_schema()},
      &Handlers::change_me);
  add(kAuth,
      {.method = "PUT",
       .path = "/auth/me/password",
       .operation = "auth-changePassword",
       .summary = "Take another password; one's other sessions end",
       .scope = Scope::kAny,
       .body = object_schema({{"current_password", bounded(1, 1000)}, {"new_password", bounded(1, 1000)}},
                             {"current_password", "new_password"}),
       .data = nothing()},
      &Handlers::change_password);
  add(kAuth,
      {.method = "POST",
       .path = "/auth/me/set-initial-password",
       .operation = "auth-setInitialPassword",
       .summary = "For accounts without a password, of which there are none: refused",
       .scope = Scope::kAny,
       .data = nothing()},
      &Handlers::refuse);
}

void add_keys(const Adder& add) {
  add(kKeys,
      {.method = "GET",
       .path = "/settings/service-keys",
       .operation = "serviceKeys-list",
       .summary = "List service keys",
       .scope = Scope::kAny,
       .data = array_of(key_schema())},
      &Handlers::list_keys);
  add(kKeys,
      {.method = "POST",
       .path = "/settings/service-keys",
       .operation = "serviceKeys-create",
       .summary = "Make a service key, shown in this one answer only",
       .scope = Scope::kAny,
       .body = object_schema({{"name", bounded(1, 100)},
                              {"scopes", {{"type", json::array{"array", "null"}}, {"items", text_schema()}}},
                              {"expires_at", maybe(time_schema())}},
                             {"name"}),
       .status = 201,
       .data = key_schema()},
      &Handlers::make_key);
  add(kKeys,
      {.method = "DELETE",
       .path = "/settings/service-keys/{id}",
       .operation = "serviceKeys-delete",
       .summary = "Revoke a service key",
       .scope = Scope::kAny,
       .status = 204},
      &Handlers::remove_key);
}

}  // namespace

void add_account_routes(RouteTable& routes, const Context& context) {
  const Adder add(routes, context);
  add_beginnings(add);
  add_own(add);
  add_keys(add);
}

}  // namespace backstay::api::lnchr
