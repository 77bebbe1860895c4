#include <memory>

#include "api/house/paging.h"
#include "api/house/request_parts.h"
#include "api/house/resources.h"
#include "api/house/route_groups.h"
#include "api/json_response.h"
#include "api/token_places.h"
#include "core/error.h"

namespace backstay::api::house {

namespace {

using control::Principal;
using http::Request;
using http::Response;

/// Either of two names, so that the description cannot say it.
std::string required_service(const Request& request) {
  const auto service = query_service(request);
  if (!service) {
    throw core::Error(core::Code::kInvalidArgument, "the query parameter 'serviceId' is missing")
        .with_field("?serviceId", "is required");
  }
  return *service;
}

/// Each has a whole dump in scratch space for as long as its client reads.
constexpr std::size_t kDownloads = 8;

Response dump_answer(control::DumpDownload dump, std::shared_ptr<void> place) {
  Response response;
  response.headers = {{"Content-Type", "application/sql"},
                      {"Cache-Control", "no-store"},
                      {"Content-Disposition", fmt::format("attachment; filename=\"{}\"", dump.file_name)}};
  response.stream = [write = std::move(dump.write), place = std::move(place)](http::StreamWriter& writer,
                                                                              std::stop_token stop) mutable {
    write(
        [&writer](std::string_view part) {
          if (!writer.write(part)) throw core::Error(core::Code::kCancelled, "the client of the download is gone");
        },
        std::move(stop));
    place.reset();  // before the client knows that this was all, and asks for the next one
  };
  return response;
}

}  // namespace

void add_backup_routes(RouteTable& routes, const Context& context) {
  control::Queries& queries = context.queries;
  const auto downloads =
      std::make_shared<TokenPlaces>(TokenPlaces::Limits{.what = "downloads", .of_token = 1, .of_all = kDownloads});
  routes.add({.method = "GET",
              .path = "/backups",
              .operation = "backups-list",
              .tag = "Backups",
              .summary = "List the backups of a service, newest first",
              .description = "serviceId, or service, is required",
              .scope = Scope::kReadBackups,
              .query = service_parameters(),
              .paged = true,
              .answer = array_of(ref("Backup")),
              .more_refusals = {{404, "the service does not exist for this token"}}},
             [&queries](const Request& request, const Principal& principal) {
               const Page page(queries, request);
               const control::BackupFilter filter{
                   .service_id = required_service(request), .after_id = page.after(), .limit = page.fetch()};
               return page.answer(queries.backups(filter, principal), backup_resource,
                                  [](const auto& backup) { return backup.id; });
             });
  routes.add({.method = "GET",
              .path = "/backups/{id}",
              .operation = "backups-get",
              .tag = "Backups",
              .summary = "One backup with its facts: taken, stored, confirmed, verified",
              .scope = Scope::kReadBackups,
              .tagged = true,
              .answer = ref("Backup")},
             [&queries](const Request& request, const Principal& principal) {
               return json_response(backup_resource(queries.backup(path_uuid(request, "backup"), principal)));
             });
  routes.add({.method = "GET",
              .path = "/backups/{id}/dump",
              .operation = "backups-dump",
              .tag = "Backups",
              .summary = "A logical backup as SQL",
              .description = "For psql, into any later major version too; what it makes belongs to whoever runs it. An "
                             "answer that breaks off is not whole. A token has one at a time.",
              .scope = Scope::kRecoverBackups,
              .audited = true,
              .answer = {{"type", "string"}},
              .answer_type = "application/sql",
              .more_refusals = {{501, "no logical backup can be read here"}}},
             [&queries, downloads](const Request& request, const Principal& principal) {
               auto place = downloads->take(principal.token_id);
               return dump_answer(queries.dump(path_uuid(request, "backup"), principal), std::move(place));
             });
  routes.add({.method = "GET",
              .path = "/managed-services/{id}/recovery-window",
              .operation = "recovery-window-get",
              .tag = "Backups",
              .summary = "What can be reached now, and what is at risk",
              .scope = Scope::kReadBackups,
              .tagged = true,
              .answer = ref("RecoveryWindow")},
             [&queries](const Request& request, const Principal& principal) {
               const std::string id = path_uuid(request, "managed service");
               auto window = window_resource(id, queries.recovery_windows(id, principal),
                                             queries.at_risk(id, principal), queries.chain(id, principal));
               if (const auto verified = queries.last_verified(id, principal)) {
                 window["lastVerified"] = verified_resource(*verified);
               }
               return json_response(window);
             });
}

}  // namespace backstay::api::house
