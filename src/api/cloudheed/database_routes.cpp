#include <functional>

#include "api/cloudheed/call.h"
#include "api/cloudheed/databases.h"
#include "api/cloudheed/route_groups.h"
#include "api/json_response.h"
#include "control/operation_queue.h"
#include "model/tier.h"

namespace backstay::api::cloudheed {
namespace {

namespace json = core::json;
using control::Principal;
using http::Request;
using http::Response;

constexpr std::string_view kTag = "databases";
constexpr std::size_t kPasswordLength = 32;
/// The user and the database of what is made here.
constexpr std::string_view kUser = "cloudheed";
/// How long an answer waits for the end of what it reports.
constexpr auto kPatience = std::chrono::seconds(15);

class DatabaseHandlers {
 public:
  explicit DatabaseHandlers(const Context& context) : context_(context) {}

  [[nodiscard]] Response create(const Request& request, const Principal& principal) const {
    const Databases databases(context_, principal);
    const core::Secret password(context_.random.token(kPasswordLength));
    const auto wanted = creation(request, databases, password, principal);
    const auto made =
        in_own_words(database_fields(), [&] { return context_.commands.create_service(wanted, principal).service; });
    auto body = databases.object(made);
    body["password"] = password.reveal();
    body["connection_string"] = connection_string(made, password);
    return json_response(body, 201);
  }

  /// What was made by a request whose answer was lost: its password cannot be told any more.
  [[nodiscard]] Response created(const Request& /*request*/, const Principal& principal, const std::string& id) const {
    const Databases databases(context_, principal);
    return json_response(databases.object(databases.require(id)), 201);
  }

  [[nodiscard]] Response list(const Request& request, const Principal& principal) const {
    const Databases databases(context_, principal);
    const auto status = request.query_value("status");
    const auto region = request.query_value("region");
    json::array items;
    for (const auto& view : context_.queries.services(control::ServiceFilter{}, principal)) {
      const auto& service = view.service;
      if (service.provider.kind != model::kTieredKind || !service.candidate_of.empty()) continue;
      if (region && databases.region(service) != *region) continue;
      if (status && databases.status(service) != *status) continue;
      items.emplace_back(databases.item(service));
    }
    return json_response(paged("databases", items, page_of(request)));
  }

  [[nodiscard]] Response get(const Request& request, const Principal& principal) const {
    const Databases databases(context_, principal);
    return json_response(databases.object(databases.require(id_of(request))));
  }

  [[nodiscard]] Response rename(const Request& request, const Principal& principal) const {
    Body body(request);
    control::UpdateServiceRequest change;
    change.name = body->text("name");
    body.finish();
    const Databases databases(context_, principal);
    return json_response(databases.object(changed(request, databases, change, principal).service));
  }

  [[nodiscard]] Response remove(const Request& request, const Principal& principal) const {
    const auto id = Databases(context_, principal).require(id_of(request)).id;
    context_.commands.delete_service(id, control::FinalBackup::kRequired, principal);
    Response response;
    response.status = 204;
    return response;
  }

  [[nodiscard]] Response start(const Request& request, const Principal& principal) const {
    return turned(request, principal, false, "starting", "running");
  }

  [[nodiscard]] Response stop(const Request& request, const Principal& principal) const {
    return turned(request, principal, true, "stopping", "stopped");
  }

  [[nodiscard]] Response restart(const Request& request, const Principal& principal) const {
    const auto id = Databases(context_, principal).require(id_of(request)).id;
    context_.commands.restart_service(id, principal);
    return json_response(json::object{{"id", id_text(kDatabaseId, id)}, {"status", "restarting"}});
  }

  [[nodiscard]] Response resize(const Request& request, const Principal& principal) const {
    Body body(request);
    const auto name = body->text("tier").value_or("");
    body.finish();
    control::UpdateServiceRequest change;
    change.plan = control::PlanRequest{.id = model::find_tier(name)->plan_id, .parameters = {}};
    const Databases databases(context_, principal);
    const auto made = changed(request, databases, change, principal);
    return json_response(
        json::object{{"id", id_text(kDatabaseId, made.service.id)}, {"tier", name}, {"status", "resizing"}});
  }

  [[nodiscard]] Response reset_password(const Request& request, const Principal& principal) const {
    const core::Secret password(context_.random.token(kPasswordLength));
    const Databases databases(context_, principal);
    const auto service = databases.require(id_of(request));
    control::UpdateServiceRequest change;
    change.secrets = model::Secrets{{std::string(password_field(service)), password}};
    const auto made = context_.commands.update_service(service.id, change, principal);
    if (made.operation) wait_for(made.operation->id, principal);
    return json_response(json::object{{"password", password.reveal()},
                                      {"connection_string", connection_string(made.service, password)}});
  }

 private:
  static std::string id_of(const Request& request) { return path_id(request, "id", kDatabaseId); }

  [[nodiscard]] control::CreateServiceRequest creation(const Request& request, const Databases& databases,
                                                       const core::Secret& password, const Principal& principal) const {
    Body body(request);
    control::CreateServiceRequest wanted;
    wanted.name = body->text("name").value_or("");
    const auto tier = body->text("tier").value_or("");
    const auto region = body->text("region").value_or("");
    auto version = body.word("version");
    body.finish();
    if (const auto installed = databases.versions(); !version && !installed.empty()) version = installed.back();
    wanted.team_id = owning_team(context_.queries, request, principal);
    wanted.provider = {std::string(model::kTieredOffer), std::nullopt};
    wanted.plan.id = model::find_tier(tier)->plan_id;
    wanted.config = {{"userName", kUser}, {"databaseName", kUser}};
    if (version) wanted.config["version"] = *version;
    wanted.secrets = {{"userPassword", password}};
    wanted.labels = {{std::string(kRegionLabel), region}};
    return wanted;
  }

  control::ServiceChange changed(const Request& request, const Databases& databases,
                                 const control::UpdateServiceRequest& change, const Principal& principal) const {
    const auto id = databases.require(id_of(request)).id;
    return in_own_words(database_fields(), [&] { return context_.commands.update_service(id, change, principal); });
  }

  [[nodiscard]] Response turned(const Request& request, const Principal& principal, bool pause,
                                std::string_view turning, std::string_view already) const {
    const Databases databases(context_, principal);
    const auto before = databases.require(id_of(request));
    control::UpdateServiceRequest change;
    change.pause = pause;
    if (before.pause != pause) context_.commands.update_service(before.id, change, principal);
    const auto status = before.pause == pause ? already : turning;
    return json_response(json::object{{"id", id_text(kDatabaseId, before.id)},
                                      {"status", status},
                                      {"message", fmt::format("the database is {}", status)}});
  }

  /// What is answered is then true already, unless it takes long.
  void wait_for(const std::string& operation_id, const Principal& principal) const {
    const auto deadline = context_.clock.steady_now() + kPatience;
    while (context_.clock.steady_now() < deadline) {
      const auto seen = context_.feed.version(operation_id);
      if (model::is_terminal(context_.queries.operation(operation_id, principal).state)) return;
      context_.feed.wait(operation_id, seen, {}, std::chrono::seconds(1));
    }
  }

  Context context_;
};

json::object creation_schema(const Context& context) {
  json::array tiers;
  for (const auto& tier : model::tiers()) tiers.emplace_back(tier.name);
  json::array regions(context.regions.begin(), context.regions.end());
  return object_schema({{"name", name_schema()},
                        {"region", {{"type", "string"}, {"enum", std::move(regions)}}},
                        {"tier", {{"type", "string"}, {"enum", std::move(tiers)}}},
                        {"version",
                         {{"type", json::array{"string", "null"}},
                          {"pattern", "^[0-9]{1,2}$"},
                          {"description", "a PostgreSQL that is installed; without it the newest one"}}}},
                       {"name", "region", "tier"});
}

json::object tier_schema() {
  json::array tiers;
  for (const auto& tier : model::tiers()) tiers.emplace_back(tier.name);
  return object_schema({{"tier", {{"type", "string"}, {"enum", std::move(tiers)}}}}, {"tier"});
}

json::object turn_schema() {
  return object_schema({{"id", text_schema()}, {"status", text_schema()}, {"message", text_schema()}},
                       {"id", "status"});
}

json::object list_schema() {
  return object_schema({{"databases", array_of(database_item_schema())}, {"meta", meta_schema()}},
                       {"databases", "meta"});
}

}  // namespace

void add_database_routes(RouteTable& routes, const Context& context) {
  const DatabaseHandlers handlers(context);
  const auto add = [&](const Call& call, auto member, const ReplayHandler& replay = {}) {
    routes.add(
        described(call, kTag),
        [handlers, member](const Request& request, const Principal& principal) {
          return (handlers.*member)(request, principal);
        },
        replay);
  };
  add({.method = "POST",
       .path = "/databases",
       .operation = "databases-create",
       .summary = "Make a database; the password is shown this once",
       .scope = Scope::kWriteServices,
       .body = creation_schema(context),
       .status = 201,
       .answer = database_schema()},
      &DatabaseHandlers::create, std::bind_front(&DatabaseHandlers::created, handlers));
  auto query = page_parameters();
  query.push_back({.name = "status", .description = "only those of this status", .schema = text_schema()});
  query.push_back({.name = "region", .description = "only those of this region", .schema = text_schema()});
  add({.method = "GET",
       .path = "/databases",
       .operation = "databases-list",
       .summary = "List databases",
       .scope = Scope::kReadServices,
       .query = query,
       .answer = list_schema()},
      &DatabaseHandlers::list);
  add({.method = "GET",
       .path = "/databases/{id}",
       .operation = "databases-get",
       .summary = "One database, its password masked",
       .scope = Scope::kReadServices,
       .answer = database_schema()},
      &DatabaseHandlers::get);
  add({.method = "PATCH",
       .path = "/databases/{id}",
       .operation = "databases-rename",
       .summary = "Rename a database",
       .scope = Scope::kWriteServices,
       .body = object_schema({{"name", name_schema()}}, {"name"}),
       .answer = database_schema()},
      &DatabaseHandlers::rename);
  add({.method = "DELETE",
       .path = "/databases/{id}",
       .operation = "databases-delete",
       .summary = "Delete a database, after a last backup",
       .scope = Scope::kDeleteServices,
       .status = 204},
      &DatabaseHandlers::remove);
  const auto add_turn = [&](const std::string& word, auto member) {
    add({.method = "POST",
         .path = "/databases/{id}/" + word,
         .operation = "databases-" + word,
         .summary = "Ask for a " + word + " of a database",
         .scope = Scope::kWriteServices,
         .answer = turn_schema()},
        member);
  };
  add_turn("start", &DatabaseHandlers::start);
  add_turn("stop", &DatabaseHandlers::stop);
  add_turn("restart", &DatabaseHandlers::restart);
  add({.method = "POST",
       .path = "/databases/{id}/resize",
       .operation = "databases-resize",
       .summary = "Give a database another tier; its server restarts",
       .scope = Scope::kWriteServices,
       .body = tier_schema(),
       .answer = object_schema({{"id", text_schema()}, {"tier", text_schema()}, {"status", text_schema()}},
                               {"id", "tier", "status"})},
      &DatabaseHandlers::resize);
  add({.method = "POST",
       .path = "/databases/{id}/reset-password",
       .operation = "databases-resetPassword",
       .summary = "A new password, shown this once; the old one ends",
       .scope = Scope::kWriteServices,
       .answer = object_schema({{"password", text_schema()}, {"connection_string", nullable("string")}},
                               {"password", "connection_string"})},
      &DatabaseHandlers::reset_password);
}

}  // namespace backstay::api::cloudheed
