#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "api/lnchr/databases.h"
#include "api/lnchr/dialect.h"
#include "api/lnchr/resources.h"
#include "api/lnchr/route_groups.h"
#include "api/lnchr/schemas.h"

namespace backstay::api::lnchr {
namespace {

namespace json = core::json;
using control::Principal;
using core::Code;
using core::Error;
using http::Request;
using http::Response;

/// The catalogue's offer whose words are nearest to the platform's, with its smallest plan.
constexpr std::string_view kOffer = "postgres";
constexpr std::size_t kPasswordLength = 32;

constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kLabels{
    {{"project_id", kProjectLabel}, {"environment_id", kEnvironmentLabel}, {"server_id", kServerLabel}}};

void require_engine(const std::string& type) {
  if (type == "postgres" || type == "postgresql") return;
  throw Error(Code::kNotSupported,
              fmt::format("databases of the type '{}' cannot be made here: PostgreSQL is what is managed", type))
      .with_hint("use the type 'postgres'");
}

/// Which secret holds the application's password in the words of the service's offer.
std::string password_key(const model::Service& service) {
  return service.provider.name == kOffer ? "userPassword" : "password";
}

class Handlers {
 public:
  explicit Handlers(const Context& context) : context_(context) {}

  [[nodiscard]] Response list(const Request& request, const Principal& principal) const {
    json::array found;
    for (const auto& service : databases_of(context_, request, principal)) found.push_back(database_resource(service));
    return success(found);
  }

  /// A name is unique in the tenant, whichever project it is in.
  [[nodiscard]] Response check_name(const Request& request, const Principal& principal) const {
    const auto name = request.query_value("name").value_or("");
    const auto team = owning_team(context_.queries, request, principal);
    const auto taken = context_.queries.services(team, false, principal);
    const bool available = std::ranges::none_of(taken, [&](const auto& view) { return view.service.name == name; });
    return success(json::object{{"name", name}, {"available", available}});
  }

  [[nodiscard]] Response create(const Request& request, const Principal& principal) const {
    Body body(request);
    require_engine(body->text("type").value_or(""));
    auto wanted = creation(body, owning_team(context_.queries, request, principal), principal);
    body.finish();
    return in_own_words(database_fields(), [&] {
      const auto change = context_.commands.create_service(wanted, principal);
      auto resource = database_resource(change.service);
      resource["user"] = core::find_string(wanted.config, "userName").value_or("app");
      resource["database"] = core::find_string(wanted.config, "databaseName").value_or("app");
      resource["password"] = wanted.secrets.at("userPassword").reveal();
      return success(resource, 201);
    });
  }

  [[nodiscard]] Response get(const Request& request, const Principal& principal) const {
    return success(database_resource(require_database(context_, request, principal)));
  }

  [[nodiscard]] Response change(const Request& request, const Principal& principal) const {
    const auto before = require_database(context_, request, principal);
    Body body(request);
    const auto wanted = change_of(body, before);
    body.finish();
    return in_own_words(database_fields(), [&] { return changed(before.id, wanted, principal); });
  }

  [[nodiscard]] Response remove(const Request& request, const Principal& principal) const {
    const auto service = require_database(context_, request, principal);
    context_.commands.delete_service(service.id, control::FinalBackup::kRequired, principal);
    Response gone;
    gone.status = 204;
    return gone;
  }

  [[nodiscard]] Response start(const Request& request, const Principal& principal) const {
    return turn(request, principal, false);
  }
  [[nodiscard]] Response stop(const Request& request, const Principal& principal) const {
    return turn(request, principal, true);
  }

  [[nodiscard]] Response restart(const Request& request, const Principal& principal) const {
    const auto service = require_database(context_, request, principal);
    return success(database_resource(context_.commands.restart_service(service.id, principal).service));
  }

  [[nodiscard]] Response made(const Principal& principal, const std::string& id) const {
    return success(database_resource(context_.queries.service(id, principal).service), 201);
  }

 private:
  [[nodiscard]] control::CreateServiceRequest creation(Body& body, std::int64_t team,
                                                       const Principal& principal) const {
    control::CreateServiceRequest wanted;
    wanted.team_id = team;
    wanted.name = body->text("name").value_or("");
    wanted.provider.name = kOffer;
    for (const auto& [own, house] :
         {std::pair("version", "version"), std::pair("user", "userName"), std::pair("database", "databaseName")}) {
      if (const auto text = body.word(own)) wanted.config[house] = *text;
    }
    for (const auto& [own, label] : kLabels) {
      if (const auto text = body.word(own)) wanted.labels[std::string(label)] = *text;
    }
    const auto password = body.word("password");
    wanted.secrets["userPassword"] = core::Secret(password ? *password : context_.random.token(kPasswordLength));
    const auto destination = body.word("backup_destination_id");
    if (destination || has_default_destination(context_, team, principal)) {
      wanted.backups.emplace().enabled = true;
      wanted.backups->destination_id = destination;
    }
    return wanted;
  }

  static control::UpdateServiceRequest change_of(Body& body, const model::Service& before) {
    control::UpdateServiceRequest wanted;
    wanted.name = body->text("name");
    if (const auto version = body.word("version")) wanted.config = json::object{{"version", *version}};
    if (const auto password = body.word("password")) {
      wanted.secrets = model::Secrets{{password_key(before), core::Secret(*password)}};
    }
    for (const auto& [own, label] : kLabels) {
      if (body.has(own)) wanted.labels[std::string(label)] = body->text(own);
    }
    const auto enabled = body->flag("backups_enabled");
    const auto destination = body.word("backup_destination_id");
    if (enabled || destination) {
      auto& backups = wanted.backups.emplace();
      backups.enabled = enabled;
      backups.destination_id = destination;
    }
    return wanted;
  }

  static bool is_empty(const control::UpdateServiceRequest& wanted) {
    return !wanted.name && !wanted.config && !wanted.secrets && !wanted.backups && !wanted.pause &&
           wanted.labels.empty();
  }

  [[nodiscard]] Response changed(const std::string& id, const control::UpdateServiceRequest& wanted,
                                 const Principal& principal) const {
    if (!is_empty(wanted)) context_.commands.update_service(id, wanted, principal);
    return success(database_resource(context_.queries.service(id, principal).service));
  }

  /// What is stopped already stays so: whoever repeats a request gets what was asked for.
  [[nodiscard]] Response turn(const Request& request, const Principal& principal, bool pause) const {
    const auto before = require_database(context_, request, principal);
    control::UpdateServiceRequest wanted;
    if (before.pause != pause) wanted.pause = pause;
    return changed(before.id, wanted, principal);
  }

  Context context_;
};

json::object availability_schema() {
  return object_schema({{"name", text_schema()}, {"available", {{"type", "boolean"}}}}, {"name", "available"});
}

Call act(const std::string& what, const std::string& summary) {
  return {.method = "POST",
          .path = "/databases/{id}/" + what,
          .operation = "databases-" + what,
          .summary = summary,
          .scope = Scope::kWriteServices,
          .data = database_schema()};
}

}  // namespace

void add_database_routes(RouteTable& routes, const Context& context) {
  const Handlers handlers(context);
  const auto add = [&](const Call& call, auto member, const ReplayHandler& replay = {}) {
    routes.add(
        described(call, "databases"),
        [handlers, member](const Request& request, const Principal& principal) {
          return (handlers.*member)(request, principal);
        },
        replay);
  };
  const std::string one = "/databases/{id}";
  add({.method = "GET",
       .path = "/databases",
       .operation = "databases-list",
       .summary = "List databases",
       .scope = Scope::kReadServices,
       .query = {project_parameter()},
       .data = array_of(database_schema())},
      &Handlers::list);
  add({.method = "GET",
       .path = "/databases/check-name",
       .operation = "databases-checkName",
       .summary = "Whether a name is free",
       .scope = Scope::kReadServices,
       .query = {{.name = "name", .description = "", .schema = text_schema(), .required = true}, project_parameter()},
       .data = availability_schema()},
      &Handlers::check_name);
  add({.method = "POST",
       .path = "/databases",
       .operation = "databases-create",
       .summary = "Make a PostgreSQL database",
       .scope = Scope::kWriteServices,
       .body = create_database_schema(),
       .status = 201,
       .data = database_schema()},
      &Handlers::create, [handlers](const Request&, const Principal& principal, const std::string& id) {
        return handlers.made(principal, id);
      });
  add({.method = "GET",
       .path = one,
       .operation = "databases-get",
       .summary = "One database",
       .scope = Scope::kReadServices,
       .data = database_schema()},
      &Handlers::get);
  add({.method = "PUT",
       .path = one,
       .operation = "databases-change",
       .summary = "Change what is given of a database",
       .scope = Scope::kWriteServices,
       .body = change_database_schema(),
       .data = database_schema()},
      &Handlers::change);
  add({.method = "DELETE",
       .path = one,
       .operation = "databases-delete",
       .summary = "Delete a database",
       .description = "With backups on, a final backup is taken and confirmed before the data goes.",
       .scope = Scope::kDeleteServices,
       .status = 204},
      &Handlers::remove);
  add(act("start", "Start a database that was stopped"), &Handlers::start);
  add(act("stop", "Stop a database and keep its data"), &Handlers::stop);
  add(act("restart", "Restart a database"), &Handlers::restart);
}

}  // namespace backstay::api::lnchr
