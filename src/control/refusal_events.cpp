#include "control/refusal_events.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/log.h"
#include "metadata/backups.h"
#include "metadata/operations.h"
#include "metadata/services.h"
#include "metadata/teams.h"

namespace backstay::control {
namespace {

std::string service_of(metadata::Transaction& tx, const RefusedRequest& refused) {
  if (!refused.service_id.empty()) return refused.service_id;
  if (!refused.backup_id.empty()) {
    const auto backup = metadata::Backups(tx).find(refused.backup_id);
    return backup ? backup->service_id : "";
  }
  const auto operation = metadata::Operations(tx).find(refused.operation_id);
  return operation ? operation->service_id : "";
}

std::optional<model::Service> find_service(metadata::Transaction& tx, const RefusedRequest& refused,
                                           const Principal& principal) {
  auto service = metadata::Services(tx).find(service_of(tx, refused));
  if (service && !principal.sees_team(service->team_id)) return std::nullopt;
  return service;
}

}  // namespace

bool RefusalEvents::is_due(const std::string& subject, const RefusedRequest& refused) {
  const auto now = clock_.now();
  const core::LockGuard lock(mutex_);
  std::erase_if(told_, [&](const auto& entry) { return entry.second + kPause <= now; });
  return told_.emplace(fmt::format("{} {} {} {}", subject, refused.kind.name, refused.call, refused.code), now).second;
}

void RefusalEvents::record(const RefusedRequest& refused, const Principal& principal) {
  if (!principal.may_read) return;
  try {
    write(refused, principal);
  } catch (...) {
    core::log_warning("refusal.untold", core::as_error(std::current_exception()).message(),
                      {{"trace_id", refused.trace_id}});
  }
}

void RefusalEvents::write(const RefusedRequest& refused, const Principal& principal) {
  const auto body = fmt::format("a request was refused and changed nothing: {} ({}); {}", refused.summary, refused.code,
                                refused.reason);
  const std::map<std::string, std::string> attributes{
      {"code", refused.code}, {"operation", refused.call}, {"trace.id", refused.trace_id}};
  if (refused.team_id) {
    const bool is_there = principal.sees_team(*refused.team_id) && database_.read([&](auto& tx) {
      return metadata::Teams(tx).find(*refused.team_id).has_value();
    });
    if (!is_there || !is_due(fmt::format("team {}", *refused.team_id), refused)) return;
    database_.write([&](auto& tx) { events_.record(tx, *refused.team_id, refused.kind, body, attributes); });
    return;
  }
  const auto service = database_.read([&](auto& tx) { return find_service(tx, refused, principal); });
  if (!service || !is_due(service->id, refused)) return;
  database_.write([&](auto& tx) { events_.record(tx, *service, refused.kind, body, attributes); });
}

}  // namespace backstay::control
