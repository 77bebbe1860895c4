#include "api/lnchr/databases.h"
#include "api/lnchr/dialect.h"
#include "api/lnchr/route_groups.h"
#include "api/lnchr/schemas.h"
#include "control/operation_queue.h"
#include "core/error.h"

namespace backstay::api::lnchr {
namespace {

namespace json = core::json;
using control::Principal;
using core::Error;
using http::Request;
using http::Response;

constexpr std::string_view kImport = "import";

std::string_view status_of(model::OperationState state) {
  switch (state) {
    case model::OperationState::kQueued: return "pending";
    case model::OperationState::kRunning: return "running";
    case model::OperationState::kSucceeded: return "completed";
    case model::OperationState::kFailed: return "failed";
    case model::OperationState::kCancelled: break;
  }
  return "cancelled";
}

json::object import_resource(const model::Operation& operation) {
  json::object object{{"id", operation.id},
                      {"database_id", operation.service_id},
                      {"status", status_of(operation.state)},
                      {"created_at", core::format_time(operation.created_at)}};
  if (operation.started_at) object["started_at"] = core::format_time(*operation.started_at);
  if (operation.finished_at) object["completed_at"] = core::format_time(*operation.finished_at);
  if (const auto format = core::find_string(operation.result, "format")) object["format"] = *format;
  if (const auto error = core::find_string(operation.error, "message")) object["error"] = *error;
  if (const auto step = core::find_string(operation.error, "nextStep")) object["next_step"] = *step;
  return object;
}

control::ImportRequest import_of(const json::object& body) {
  return {.path = core::find_string(body, "path"),
          .url = core::find_string(body, "url"),
          .format = core::find_string(body, "format")};
}

control::ImportRequest path_of(const json::object& body) {
  return {.path = core::find_string(body, "path"), .destination_id = core::find_string(body, "destination_id")};
}

class Handlers {
 public:
  explicit Handlers(const Context& context) : context_(context) {}

  [[nodiscard]] Response take(const Request& request, const Principal& principal) const {
    return taken(request, principal, import_of);
  }
  [[nodiscard]] Response take_path(const Request& request, const Principal& principal) const {
    return taken(request, principal, path_of);
  }

  [[nodiscard]] Response get(const Request& request, const Principal& principal) const {
    const auto service = require_database(context_, request, principal);
    try {
      const auto operation = context_.queries.operation(path_id(request, kImport, "importId"), principal);
      const bool is_one = operation.kind == control::kinds::kImport && operation.service_id == service.id;
      if (is_one) return success(import_resource(operation));
    } catch (const Error& error) {
      if (error.code() != core::Code::kNotFound) throw;
    }
    throw not_found(kImport);
  }

 private:
  [[nodiscard]] Response taken(const Request& request, const Principal& principal,
                               const ImportRequests::ReadBody& read) const {
    const auto service = require_database(context_, request, principal);
    return in_own_words(database_fields(), [&] {
      return success(import_resource(context_.imports.take(request, service.id, principal, read)), 201);
    });
  }

  Context context_;
};

json::object import_schema() {
  const auto text = text_schema();
  return object_schema(
      {{"id", uuid_schema()},
       {"database_id", uuid_schema()},
       {"status",
        {{"type", "string"}, {"enum", json::array{"pending", "running", "completed", "failed", "cancelled"}}}},
       {"format", text},
       {"created_at", time_schema()},
       {"started_at", time_schema()},
       {"completed_at", time_schema()},
       {"error", text},
       {"next_step", text}},
      {"id", "database_id", "status", "created_at"});
}

json::object words(std::string_view description) {
  return {{"type", json::array{"string", "null"}}, {"minLength", 1}, {"maxLength", 4096}, {"description", description}};
}

}  // namespace

void add_import_routes(RouteTable& routes, const Context& context) {
  const Handlers handlers(context);
  const auto add = [&](const Call& call, auto member) {
    routes.add(described(call, "import"), [handlers, member](const Request& request, const Principal& principal) {
      return (handlers.*member)(request, principal);
    });
  };
  add({.method = "POST",
       .path = "/databases/{id}/import",
       .operation = "databases-import",
       .summary = "Take an SQL dump into a database",
       .description =
           "A file as multipart/form-data, the dump as the body of any other type, or JSON that names a path "
           "on the server or a URL. Its form is seen from its content.",
       .scope = Scope::kWriteServices,
       .body = object_schema({{"path", words("below a directory that the operator allows")},
                              {"url", words("http or https")},
                              {"format", words("plain, custom, tar or directory")}},
                             {}),
       .uploads = true,
       .status = 201,
       .data = import_schema()},
      &Handlers::take);
  add({.method = "POST",
       .path = "/databases/{id}/restore-from-path",
       .operation = "databases-restoreFromPath",
       .summary = "Take a dump that is a file on the server or an object of a destination into a database",
       .scope = Scope::kWriteServices,
       .body = object_schema({{"path", {{"type", "string"}, {"minLength", 1}, {"maxLength", 4096}}},
                              {"destination_id", {{"type", json::array{"string", "null"}}, {"format", "uuid"}}}},
                             {"path"}),
       .status = 201,
       .data = import_schema()},
      &Handlers::take_path);
  add({.method = "GET",
       .path = "/databases/{id}/imports/{importId}",
       .operation = "databases-getImport",
       .summary = "How an import goes",
       .scope = Scope::kReadServices,
       .data = import_schema()},
      &Handlers::get);
}

}  // namespace backstay::api::lnchr
