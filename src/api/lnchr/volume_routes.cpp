#include "api/lnchr/call.h"
#include "api/lnchr/route_groups.h"
#include "api/lnchr/schemas.h"
#include "core/error.h"

namespace backstay::api::lnchr {
namespace {

using control::Principal;
using http::Request;
using http::Response;

Response refused(const Request& /*request*/, const Principal& /*principal*/) {
  throw core::Error(core::Code::kNotSupported,
                    "volumes cannot be backed up: there are no applications and no volumes here, only databases")
      .with_hint("see /api/v1/databases/:id/backups for what can be backed up");
}

}  // namespace

void add_volume_routes(RouteTable& routes) {
  const auto add = [&](const std::string& method, const std::string& path, const std::string& operation,
                       const std::string& summary, Scope scope) {
    Call call{.method = method, .path = path, .operation = operation, .summary = summary, .scope = scope};
    call.description = "Always refused with 501: there are no volumes.";
    call.data = object_schema({}, {});
    routes.add(described(call, "volume backups"), refused);
  };
  const std::string all = "/applications/{id}/volume-backups";
  const std::string one = "/backups/volume/{id}";
  add("GET", all, "volumeBackups-list", "List volume backups of an application", Scope::kReadBackups);
  add("POST", all, "volumeBackups-create", "Back the volumes of an application up", Scope::kWriteBackups);
  add("POST", one + "/restore", "volumeBackups-restore", "Restore a volume backup", Scope::kRecoverBackups);
  add("POST", one + "/clone", "volumeBackups-clone", "Clone a volume into a new workload", Scope::kRecoverBackups);
}

}  // namespace backstay::api::lnchr
