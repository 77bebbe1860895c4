#include "api/cloudheed/call.h"
#include "api/cloudheed/databases.h"
#include "api/cloudheed/route_groups.h"
#include "api/json_response.h"
#include "control/operation_queue.h"
#include "control/tier_rules.h"

namespace backstay::api::cloudheed {
namespace {

namespace json = core::json;
using control::Principal;
using http::Request;
using http::Response;

constexpr std::string_view kTag = "recovery";

class RecoveryHandlers {
 public:
  explicit RecoveryHandlers(const Context& context) : context_(context) {}

  /// Into a new database.
  [[nodiscard]] Response begin(const Request& request, const Principal& principal) const {
    const auto service = database_of(request, principal);
    control::RecoverServiceRequest wanted;
    wanted.service_id = service.id;
    wanted.longest_name = kLongestName;
    wanted.labels = {{std::string(kRegionLabel), Databases(context_, principal).region(service)}};
    Body body(request);
    wanted.time = body->time("target_time");
    wanted.name = body.word("target_database_name");
    body.finish();
    const auto change =
        in_own_words(database_fields(), [&] { return context_.commands.recover_service(wanted, principal); });
    return json_response(json::object{{"id", id_text(kPitrId, change.operation.value().id)},
                                      {"database_id", id_text(kDatabaseId, service.id)},
                                      {"target_time", time_value(wanted.time)},
                                      {"target_database_name", change.service.name},
                                      {"restored_database_id", id_text(kDatabaseId, change.service.id)},
                                      {"status", "in_progress"},
                                      {"created_at", time_value(change.operation->created_at)}},
                         202);
  }

  [[nodiscard]] Response get(const Request& request, const Principal& principal) const {
    const auto service = database_of(request, principal);
    const auto id = path_id(request, "pitr_id", kPitrId);
    const auto operation = context_.queries.operation(id, principal);
    const auto* from = operation.request.if_contains("recoveredFrom");
    const auto time = from == nullptr ? std::nullopt : core::find_string(from->as_object(), "time");
    if (!time || core::find_string(from->as_object(), "serviceId") != service.id) {
      throw core::Error(core::Code::kNotFound, fmt::format("there is no recovery '{}' of the database '{}'",
                                                           id_text(kPitrId, id), service.name));
    }
    json::object object{{"id", id_text(kPitrId, id)},
                        {"database_id", id_text(kDatabaseId, service.id)},
                        {"target_time", time_value(core::parse_time(*time))},
                        {"restored_database_id", id_text(kDatabaseId, operation.service_id)},
                        {"status", status_of(operation)},
                        {"created_at", time_value(operation.created_at)},
                        {"completed_at", time_value(operation.finished_at)}};
    if (const auto why = core::find_string(operation.error, "message")) object["error"] = *why;
    return json_response(object);
  }

  [[nodiscard]] Response window(const Request& request, const Principal& principal) const {
    const auto service = database_of(request, principal);
    const auto window = control::granted_window(
        service, model::union_of(context_.queries.recovery_windows(service.id, principal)), context_.clock.now());
    return json_response(json::object{{"earliest_recovery_time", earliest(window)},
                                      {"latest_recovery_time", time_value(window.latest)}});
  }

  /// The database goes on with the backup's data; what it had is kept for a while, to be switched back to.
  [[nodiscard]] Response in_place(const Request& request, const Principal& principal) const {
    const auto service = database_of(request, principal);
    Body body(request);
    const auto named = body->text("backup_id").value_or("");
    body.finish();
    control::RecoverServiceRequest wanted;
    wanted.service_id = service.id;
    wanted.backup_id = field_id(named, kBackupId, "/backup_id");
    wanted.into = control::RecoverInto::kInPlace;
    in_own_words(database_fields(), [&] { context_.commands.recover_service(wanted, principal); });
    return in_place_answer(named);
  }

  [[nodiscard]] Response in_place_again(const Request& request, const Principal& /*principal*/,
                                        const std::string& /*id*/) const {
    return in_place_answer(Body(request)->text("backup_id").value_or(""));
  }

 private:
  static Response in_place_answer(const std::string& backup) {
    return json_response(
        json::object{{"message_code", "restore_initiated"}, {"backup_id", backup}, {"status", "pending"}}, 202);
  }

  /// A whole second that can be reached: the next one.
  static json::value earliest(const model::RecoveryWindow& window) {
    if (!window.earliest) return nullptr;
    return time_value(std::chrono::ceil<std::chrono::seconds>(*window.earliest));
  }

  static std::string_view status_of(const model::Operation& operation) {
    using model::OperationState;
    switch (operation.state) {
      case OperationState::kQueued: return "pending";
      case OperationState::kRunning: return "in_progress";
      case OperationState::kSucceeded: return "completed";
      case OperationState::kFailed:
      case OperationState::kCancelled: break;
    }
    return "failed";
  }

  [[nodiscard]] model::Service database_of(const Request& request, const Principal& principal) const {
    return Databases(context_, principal).require_for_backups(path_id(request, "id", kDatabaseId));
  }

  Context context_;
};

json::object begin_body() {
  auto name = name_schema();
  name["type"] = json::array{"string", "null"};
  return object_schema(
      {{"target_time", {{"type", "string"}, {"format", "date-time"}}}, {"target_database_name", std::move(name)}},
      {"target_time"});
}

json::object job_schema() {
  const auto text = text_schema();
  return object_schema({{"id", text},
                        {"database_id", text},
                        {"target_time", text},
                        {"target_database_name", text},
                        {"restored_database_id", text},
                        {"status", text},
                        {"created_at", text},
                        {"completed_at", nullable("string")},
                        {"error", text}},
                       {"id", "database_id", "target_time", "restored_database_id", "status", "created_at"});
}

}  // namespace

void add_recovery_routes(RouteTable& routes, const Context& context) {
  const RecoveryHandlers handlers(context);
  const auto add = [&](const Call& call, auto member, const ReplayHandler& replay = {}) {
    routes.add(
        described(call, kTag),
        [handlers, member](const Request& request, const Principal& principal) {
          return (handlers.*member)(request, principal);
        },
        replay);
  };
  add({.method = "POST",
       .path = "/databases/{id}/pitr",
       .operation = "pitr-begin",
       .summary = "Recover a time into a new database",
       .scope = Scope::kRecoverBackups,
       .body = begin_body(),
       .status = 202,
       .answer = job_schema()},
      &RecoveryHandlers::begin);
  add({.method = "GET",
       .path = "/databases/{id}/pitr/window",
       .operation = "pitr-window",
       .summary = "Which times can be recovered",
       .scope = Scope::kReadBackups,
       .answer =
           object_schema({{"earliest_recovery_time", nullable("string")}, {"latest_recovery_time", nullable("string")}},
                         {"earliest_recovery_time", "latest_recovery_time"})},
      &RecoveryHandlers::window);
  add({.method = "GET",
       .path = "/databases/{id}/pitr/{pitr_id}",
       .operation = "pitr-get",
       .summary = "How a recovery stands",
       .scope = Scope::kReadBackups,
       .answer = job_schema()},
      &RecoveryHandlers::get);
  add({.method = "POST",
       .path = "/databases/{id}/restore",
       .operation = "databases-restore",
       .summary = "Let a database go on with the data of one of its backups",
       .description = "Nothing is overwritten: the data that it had is kept for a while, to be switched back to.",
       .scope = Scope::kRecoverInPlace,
       .body = object_schema({{"backup_id", text_schema()}}, {"backup_id"}),
       .status = 202,
       .answer =
           object_schema({{"message_code", text_schema()}, {"backup_id", text_schema()}, {"status", text_schema()}},
                         {"message_code", "backup_id", "status"})},
      &RecoveryHandlers::in_place,
      [handlers](const Request& request, const Principal& principal, const std::string& id) {
        return handlers.in_place_again(request, principal, id);
      });
}

}  // namespace backstay::api::cloudheed
