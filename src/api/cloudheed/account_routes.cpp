#include "api/cloudheed/call.h"
#include "api/cloudheed/route_groups.h"
#include "api/dialect_request.h"
#include "api/json_response.h"

namespace backstay::api::cloudheed {
namespace {

namespace json = core::json;
using control::Principal;
using http::Request;
using http::Response;

constexpr std::string_view kTag = "people";
constexpr std::size_t kShortestPassword = 8;

std::string name_of(const model::Account& account) {
  return account.last_name.empty() ? account.first_name : fmt::format("{} {}", account.first_name, account.last_name);
}

json::object user_of(const model::Account& account) {
  return {{"id", id_text(kUserId, account.id)},
          {"email", account.email},
          {"name", name_of(account)},
          {"two_factor_enabled", false}};
}

Response session_answer(const control::Session& session, int status) {
  json::object object{{"token", session.token.text.reveal()},
                      {"expires_at", time_value(session.token.token.expires_at)},
                      {"user", user_of(session.account)}};
  if (session.refresh) object["refresh_token"] = session.refresh->reveal();
  return json_response(object, status);
}

class AccountHandlers {
 public:
  explicit AccountHandlers(const Context& context) : context_(context) {}

  [[nodiscard]] Response enrol(const Request& request, const Principal& /*nobody*/) const {
    Body body(request);
    control::CreateAccountRequest wanted;
    wanted.email = body->text("email").value_or("");
    wanted.password = core::Secret(body->text("password").value_or(""));
    const auto name = body->text("name").value_or("");
    body.finish();
    const auto space = name.find(' ');
    wanted.first_name = name.substr(0, space);
    if (space != std::string::npos) wanted.last_name = name.substr(space + 1);
    return in_own_words({{"/firstName", "/name"}, {"/lastName", "/name"}},
                        [&] { return session_answer(context_.accounts.register_first(wanted, nullptr), 201); });
  }

  [[nodiscard]] Response login(const Request& request, const Principal& /*nobody*/) const {
    Body body(request);
    const auto email = body->text("email").value_or("");
    const core::Secret password(body->text("password").value_or(""));
    body.finish();
    return session_answer(context_.accounts.login(email, password, request.client, control::Refreshable::kYes), 200);
  }

  [[nodiscard]] Response me(const Request& /*request*/, const Principal& principal) const {
    const auto account = context_.accounts.me(principal);
    auto object = user_of(account);
    object["created_at"] = time_value(account.created_at);
    return json_response(object);
  }

  [[nodiscard]] Response refresh(const Request& request, const Principal& /*nobody*/) const {
    Body body(request);
    const core::Secret text(body->text("refresh_token").value_or(""));
    body.finish();
    return session_answer(context_.accounts.refresh(text, request.client), 200);
  }

 private:
  Context context_;
};

json::object credentials_schema(bool enrols) {
  json::object password{{"type", "string"}, {"maxLength", 256}};
  if (enrols) password["minLength"] = kShortestPassword;
  json::object fields{{"email", {{"type", "string"}, {"minLength", 1}, {"maxLength", 254}}},
                      {"password", std::move(password)},
                      {"totp_code", nullable("string")}};
  if (!enrols) return object_schema(fields, {"email", "password"});
  fields["name"] = {{"type", "string"}, {"minLength", 1}, {"maxLength", 200}};
  fields["company"] = nullable("string");
  return object_schema(fields, {"email", "password", "name"});
}

json::object user_schema() {
  const auto text = text_schema();
  return object_schema({{"id", text},
                        {"email", text},
                        {"name", text},
                        {"two_factor_enabled", {{"type", "boolean"}}},
                        {"created_at", text}},
                       {"id", "email", "name"});
}

json::object session_schema() {
  return object_schema({{"token", text_schema()},
                        {"refresh_token", text_schema()},
                        {"expires_at", nullable("string")},
                        {"user", user_schema()}},
                       {"token", "user"});
}

}  // namespace

void add_account_routes(RouteTable& routes, const Context& context) {
  const AccountHandlers handlers(context);
  const auto add = [&](const Call& call, auto member) {
    routes.add(described(call, kTag), [handlers, member](const Request& request, const Principal& principal) {
      return (handlers.*member)(request, principal);
    });
  };
  add({.method = "POST",
       .path = "/auth/register",
       .operation = "auth-register",
       .summary = "Make the first account, where the operator allows it",
       .scope = Scope::kOpen,
       .body = credentials_schema(true),
       .status = 201,
       .answer = session_schema()},
      &AccountHandlers::enrol);
  add({.method = "POST",
       .path = "/auth/login",
       .operation = "auth-login",
       .summary = "Begin a session",
       .scope = Scope::kOpen,
       .body = credentials_schema(false),
       .answer = session_schema()},
      &AccountHandlers::login);
  add({.method = "GET",
       .path = "/auth/me",
       .operation = "auth-me",
       .summary = "Who has logged in",
       .scope = Scope::kAny,
       .answer = user_schema()},
      &AccountHandlers::me);
  add({.method = "POST",
       .path = "/auth/refresh",
       .operation = "auth-refresh",
       .summary = "The next session, and the next refresh token: the old one is worth nothing any more",
       .scope = Scope::kOpen,
       .body = object_schema({{"refresh_token", {{"type", "string"}, {"minLength", 1}, {"maxLength", 256}}}},
                             {"refresh_token"}),
       .answer = session_schema()},
      &AccountHandlers::refresh);
}

}  // namespace backstay::api::cloudheed
