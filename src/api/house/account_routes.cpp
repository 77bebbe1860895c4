#include "api/fields.h"
#include "api/house/paging.h"
#include "api/house/request_parts.h"
#include "api/house/route_groups.h"
#include "api/json_response.h"
#include "api/request_check.h"

namespace backstay::api::house {
namespace {

namespace json = core::json;
using control::Principal;
using http::Request;
using http::Response;

constexpr std::string_view kAccount = "account";

json::object account_resource(const model::Account& account) {
  json::object object{{"id", account.id},
                      {"email", account.email},
                      {"firstName", account.first_name},
                      {"lastName", account.last_name},
                      {"role", model::to_text(account.role)},
                      {"teamIds", json::array(account.team_ids.begin(), account.team_ids.end())},
                      {"createdAt", core::format_time(account.created_at)},
                      {"updatedAt", core::format_time(account.updated_at)}};
  if (account.last_login_at) object["lastLoginAt"] = core::format_time(*account.last_login_at);
  return object;
}

Response session_answer(const control::Session& session) {
  return json_response(json::object{{"token", session.token.text.reveal()},
                                    {"expiresAt", core::format_time(session.token.token.expires_at.value())},
                                    {"account", account_resource(session.account)}});
}

/// The body's fields; what is wrong with them is told by the schema before.
class Body {
 public:
  explicit Body(const Request& request) : object_(json_body(request)) {}
  std::optional<std::string> text(std::string_view key) { return fields_.text(key); }
  core::Secret secret(std::string_view key) { return core::Secret(fields_.text(key).value_or("")); }
  std::optional<std::vector<std::int64_t>> integers(std::string_view key) { return fields_.integers(key); }
  void check() const { require_none_refused(refused_); }

 private:
  json::object object_;
  std::vector<core::FieldError> refused_;
  Fields fields_{object_, "", refused_};
};

control::CreateAccountRequest create_request(const Request& request) {
  Body body(request);
  control::CreateAccountRequest wanted;
  wanted.email = body.text("email").value_or("");
  wanted.password = body.secret("password");
  wanted.first_name = body.text("firstName").value_or("");
  wanted.last_name = body.text("lastName").value_or("");
  wanted.role = model::account_role_from_text(body.text("role").value_or("user"));
  wanted.team_ids = body.integers("teamIds").value_or(std::vector<std::int64_t>());
  body.check();
  return wanted;
}

control::ChangeAccountRequest change_request(const Request& request) {
  Body body(request);
  control::ChangeAccountRequest wanted;
  wanted.first_name = body.text("firstName");
  wanted.last_name = body.text("lastName");
  if (const auto role = body.text("role")) wanted.role = model::account_role_from_text(*role);
  wanted.team_ids = body.integers("teamIds");
  if (const auto password = body.text("password")) wanted.password = core::Secret(*password);
  body.check();
  return wanted;
}

Response registered(const Context& context, const Request& request) {
  const auto wanted = create_request(request);
  if (!request.headers.find("Authorization")) return session_answer(context.accounts.register_first(wanted, nullptr));
  const auto caller = context.authentication.require(request);
  return session_answer(context.accounts.register_first(wanted, &caller));
}

Response logged_in(const Context& context, const Request& request) {
  Body body(request);
  const auto email = body.text("email").value_or("");
  const auto password = body.secret("password");
  body.check();
  return session_answer(context.accounts.login(email, password, request.client));
}

Response password_changed(const Context& context, const Request& request, const Principal& principal) {
  Body body(request);
  const auto current = body.secret("currentPassword");
  const auto wanted = body.secret("newPassword");
  body.check();
  context.accounts.change_password(current, wanted, principal, request.client);
  return json_response(json::object());
}

/// Without a token, as there is none yet.
void add_beginnings(RouteTable& routes, const Context& context) {
  routes.add({.method = "GET",
              .path = "/accounts/setup-status",
              .operation = "accounts-getSetupStatus",
              .tag = "Accounts",
              .summary = "Whether somebody has an account yet",
              .scope = Scope::kOpen,
              .answer = ref("SetupStatus")},
             [context](const Request& /*request*/, const Principal& /*nobody*/) {
               return json_response(json::object{{"isSetUp", context.accounts.is_set_up()}});
             });
  routes.add({.method = "POST",
              .path = "/accounts/register",
              .operation = "accounts-register",
              .tag = "Accounts",
              .summary = "Make the first account, a superadmin's, and log it in",
              .description = "With an administrator's token; without one only where the operator has set "
                             "accounts.open_registration.",
              .scope = Scope::kOpen,
              .body = ref("RegisterAccount"),
              .answer = ref("Session"),
              .more_refusals = {{401, "the token that came with it is not valid"},
                                {403, "the first account is made by whoever runs the server"},
                                {409, "there are accounts already"}}},
             [context](const Request& request, const Principal& /*nobody*/) { return registered(context, request); });
  routes.add({.method = "POST",
              .path = "/sessions",
              .operation = "sessions-create",
              .tag = "Accounts",
              .summary = "Log in",
              .scope = Scope::kOpen,
              .body = ref("Login"),
              .answer = ref("Session"),
              .more_refusals = {{401, "the e-mail address or the password is wrong"}, {429, "too many have failed"}}},
             [context](const Request& request, const Principal& /*nobody*/) { return logged_in(context, request); });
}

void add_own(RouteTable& routes, const Context& context) {
  routes.add({.method = "DELETE",
              .path = "/sessions/current",
              .operation = "sessions-delete",
              .tag = "Accounts",
              .summary = "Log out",
              .scope = Scope::kAny,
              .answer = ref("Empty")},
             [context](const Request& /*request*/, const Principal& principal) {
               context.accounts.logout(principal);
               return json_response(json::object());
             });
  routes.add({.method = "GET",
              .path = "/accounts/me",
              .operation = "accounts-getOwn",
              .tag = "Accounts",
              .summary = "The account whose token it is",
              .scope = Scope::kAny,
              .answer = ref("Account"),
              .more_refusals = {{409, "the token belongs to no account"}}},
             [context](const Request& /*request*/, const Principal& principal) {
               return json_response(account_resource(context.accounts.me(principal)));
             });
  routes.add({.method = "PATCH",
              .path = "/accounts/me",
              .operation = "accounts-updateOwn",
              .tag = "Accounts",
              .summary = "Change one's own name",
              .scope = Scope::kAny,
              .body = ref("UpdateOwnAccount"),
              .answer = ref("Account")},
             [context](const Request& request, const Principal& principal) {
               return json_response(account_resource(context.accounts.change_me(change_request(request), principal)));
             });
  routes.add({.method = "PUT",
              .path = "/accounts/me/password",
              .operation = "accounts-changePassword",
              .tag = "Accounts",
              .summary = "Take another password; the account's other sessions end",
              .scope = Scope::kAny,
              .body = ref("ChangePassword"),
              .answer = ref("Empty")},
             [context](const Request& request, const Principal& principal) {
               return password_changed(context, request, principal);
             });
}

void add_administration(RouteTable& routes, const Context& context) {
  routes.add({.method = "GET",
              .path = "/accounts",
              .operation = "accounts-list",
              .tag = "Accounts",
              .summary = "List accounts",
              .scope = Scope::kAdmin,
              .paged = true,
              .answer = array_of(ref("Account"))},
             [context](const Request& request, const Principal& principal) {
               return Page(context.queries, request)
                   .answer_from(context.accounts.list(principal), account_resource,
                                [](const model::Account& account) { return account.id; });
             });
  routes.add({.method = "POST",
              .path = "/accounts",
              .operation = "accounts-create",
              .tag = "Accounts",
              .summary = "Make an account",
              .scope = Scope::kAdmin,
              .body = ref("CreateAccount"),
              .answer = ref("Account")},
             [context](const Request& request, const Principal& principal) {
               return json_response(account_resource(context.accounts.create(create_request(request), principal)));
             });
  routes.add({.method = "GET",
              .path = "/accounts/{id}",
              .operation = "accounts-get",
              .tag = "Accounts",
              .summary = "One account",
              .scope = Scope::kAdmin,
              .answer = ref("Account")},
             [context](const Request& request, const Principal& principal) {
               return json_response(account_resource(context.accounts.find(path_uuid(request, kAccount), principal)));
             });
  routes.add({.method = "PATCH",
              .path = "/accounts/{id}",
              .operation = "accounts-update",
              .tag = "Accounts",
              .summary = "Change an account; another role, other teams or a new password end its sessions",
              .scope = Scope::kAdmin,
              .body = ref("UpdateAccount"),
              .answer = ref("Account")},
             [context](const Request& request, const Principal& principal) {
               const auto id = path_uuid(request, kAccount);
               return json_response(account_resource(context.accounts.change(id, change_request(request), principal)));
             });
  routes.add({.method = "DELETE",
              .path = "/accounts/{id}",
              .operation = "accounts-delete",
              .tag = "Accounts",
              .summary = "Remove an account with its sessions and keys",
              .scope = Scope::kAdmin,
              .answer = ref("Empty")},
             [context](const Request& request, const Principal& principal) {
               context.accounts.remove(path_uuid(request, kAccount), principal);
               return json_response(json::object());
             });
}

}  // namespace

void add_account_routes(RouteTable& routes, const Context& context) {
  add_beginnings(routes, context);
  add_own(routes, context);
  add_administration(routes, context);
}

}  // namespace backstay::api::house
