#include "control/schedule_commands.h"

#include <algorithm>
#include <functional>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "control/dump_download.h"
#include "control/idempotency.h"
#include "control/refusals.h"
#include "core/error.h"
#include "core/text.h"
#include "metadata/backups.h"
#include "metadata/schedules.h"
#include "metadata/services.h"
#include "model/cron.h"
#include "model/team.h"

namespace backstay::control {
namespace {

constexpr std::size_t kShownRuns = 5;
constexpr std::size_t kLongestName = 100;
constexpr std::int64_t kLongestIntervalH = 24 * 366;
constexpr std::int64_t kLargestCount = 10'000;
constexpr std::int64_t kLongestDays = 36'500;

void check_range(Refusals& refusals, const char* pointer, std::int64_t value, std::int64_t most) {
  if (value < 1 || value > most) refusals.add(pointer, fmt::format("must be from 1 to {}", most));
}

void check_readable(Refusals& refusals, const char* pointer, const std::function<void()>& read) {
  try {
    read();
  } catch (const core::Error& error) {
    refusals.add(pointer, error.hint().empty() ? error.message() : error.message() + "; " + error.hint());
  }
}

/// A cron expression or an interval, not both, and what belongs to it.
void check_time(Refusals& refusals, const std::optional<std::string>& cron, const std::optional<std::string>& time_zone,
                const std::optional<std::int64_t>& interval_hours) {
  if (cron && interval_hours) refusals.add("/intervalH", "cannot stand beside /cron");
  if (cron) check_readable(refusals, "/cron", [&] { static_cast<void>(model::Cron::parse(*cron)); });
  if (time_zone) check_readable(refusals, "/timeZone", [&] { static_cast<void>(model::TimeZone::find(*time_zone)); });
  if (time_zone && interval_hours) refusals.add("/timeZone", "says nothing about an interval");
  if (interval_hours) check_range(refusals, "/intervalH", *interval_hours, kLongestIntervalH);
}

void check_name(Refusals& refusals, const std::string& name) {
  const bool plain = std::ranges::none_of(name, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
  if (name.size() > kLongestName || !plain) {
    refusals.add("/name", fmt::format("may have up to {} characters, and no control characters", kLongestName));
  }
}

std::string time_in_words(const model::BackupSchedule& schedule) {
  return schedule.cron.empty() ? fmt::format("every {} h", schedule.interval_h)
                               : fmt::format("{} {}", schedule.cron, schedule.time_zone);
}

core::Error not_found(const std::string& id) {
  return {core::Code::kNotFound, fmt::format("there is no schedule '{}'", id)};
}

model::Service require_service(metadata::Transaction& tx, const std::string& id, const Principal& principal) {
  auto found = metadata::Services(tx).find(id);
  if (!found || !principal.sees_team(found->team_id)) {
    throw core::Error(core::Code::kNotFound, fmt::format("there is no service '{}'", id))
        .with_field("/serviceId", "names no service of the token's teams");
  }
  return std::move(*found);
}

std::string hindrance(const model::Service& service) {
  if (service.deleted_at) return "the service is deleted";
  if (service.delete_requested_at) return "the service is being deleted";
  if (!service.backups.enabled) return "backups of the service are off";
  if (service.pause) return "the service is paused";
  return {};
}

/// Counts from now on.
void begin_anew(model::BackupSchedule& schedule, core::Timestamp now) {
  schedule.counted_from = now;
  schedule.next_at.reset();
  if (schedule.enabled) schedule.next_at = model::next_run(schedule, now);
}

void apply(const UpdateScheduleRequest& request, model::BackupSchedule& schedule) {
  const bool named_by_time = schedule.name == time_in_words(schedule);
  if (request.cron) {
    schedule.cron = core::trim(*request.cron);
    schedule.interval_h = 0;
  }
  if (request.interval_hours) {
    schedule.interval_h = *request.interval_hours;
    schedule.cron.clear();
    schedule.time_zone = "UTC";
  }
  schedule.time_zone = request.time_zone.value_or(schedule.time_zone);
  if (request.retention_count) schedule.keep.count = request.retention_count->value_or(0);
  if (request.retention_days) schedule.keep.days = request.retention_days->value_or(0);
  schedule.mechanism = request.mechanism.value_or(schedule.mechanism);
  schedule.enabled = request.enabled.value_or(schedule.enabled);
  if (request.name) schedule.name = core::trim(*request.name);
  if (schedule.name.empty() || (!request.name && named_by_time)) schedule.name = time_in_words(schedule);
}

bool same_time(const model::BackupSchedule& a, const model::BackupSchedule& b) {
  return a.cron == b.cron && a.time_zone == b.time_zone && a.interval_h == b.interval_h && a.enabled == b.enabled;
}

bool same_runs(const model::BackupSchedule& a, const model::BackupSchedule& b) {
  return same_time(a, b) && a.mechanism == b.mechanism && a.destination_id == b.destination_id;
}

std::string keep_in_words(const model::KeepRule& keep) {
  if (keep.empty()) return "its backups are kept as the service's are";
  if (keep.days == 0) return fmt::format("the newest {} are kept", keep.count);
  if (keep.count == 0) return fmt::format("they are kept for {} days", keep.days);
  return fmt::format("the newest {} are kept, for at most {} days", keep.count, keep.days);
}

std::vector<std::string> changes_of(const model::BackupSchedule& before, const model::BackupSchedule& after) {
  std::vector<std::string> changes;
  if (before.name != after.name) changes.push_back(fmt::format("it is called '{}'", after.name));
  if (time_in_words(before) != time_in_words(after)) changes.push_back("it runs " + time_in_words(after));
  if (before.destination_id != after.destination_id) changes.emplace_back("its backups go to another destination");
  if (before.keep != after.keep) changes.push_back(keep_in_words(after.keep));
  if (before.mechanism != after.mechanism) {
    changes.push_back(fmt::format("its backups are {}", model::to_text(after.mechanism)));
  }
  if (before.enabled != after.enabled) {
    changes.emplace_back(after.enabled ? "it is switched on" : "it is switched off");
  }
  return changes;
}

void check_form(const CreateScheduleRequest& request) {
  Refusals refusals;
  check_name(refusals, request.name);
  if (!request.cron && !request.interval_hours) refusals.add("/cron", "is missing; or give /intervalH");
  check_time(refusals, request.cron, request.time_zone, request.interval_hours);
  if (request.retention_count) check_range(refusals, "/retentionCount", *request.retention_count, kLargestCount);
  if (request.retention_days) check_range(refusals, "/retentionDays", *request.retention_days, kLongestDays);
  refusals.raise();
}

void require_room(metadata::Transaction& tx, const model::Service& service) {
  if (metadata::Schedules(tx).list({.service_id = service.id}).size() < ScheduleCommands::kMostOfService) return;
  throw core::Error(core::Code::kConflict,
                    fmt::format("a service has at most {} schedules", ScheduleCommands::kMostOfService));
}

}  // namespace

ScheduleCommands::ScheduleCommands(ScheduleCommandDependencies dependencies)
    : deps_(dependencies),
      admission_({.database = deps_.database,
                  .providers = deps_.providers,
                  .stores = deps_.stores,
                  .clock = deps_.clock,
                  .random = deps_.random}),
      events_(deps_.clock, deps_.random) {}

void ScheduleCommands::require_possible(metadata::Transaction& tx, const model::Service& service,
                                        const model::BackupSchedule& schedule) {
  if (service.delete_requested_at) {
    throw core::Error(core::Code::kConflict, fmt::format("the service '{}' is being deleted", service.name));
  }
  if (!service.backups.enabled) {
    throw core::Error(core::Code::kConflict, fmt::format("backups of the service '{}' are off", service.name))
        .with_hint(
            "turn backups on (PATCH with backups.enabled true and a destination): what a schedule takes needs "
            "their place and their WAL");
  }
  if (schedule.mechanism == model::BackupMechanism::kLogical) require_logical(tx, deps_.providers, service);
}

std::optional<NamedDestination> ScheduleCommands::find_place(const model::Service& service,
                                                             const std::optional<std::string>& wanted) {
  if (!wanted) return std::nullopt;
  if (!deps_.providers.of_kind(service.provider.kind).is_local()) {
    throw core::Error(core::Code::kNotSupported,
                      fmt::format("where backups of '{}' go, only its provider's backend knows", service.name))
        .with_field("/destinationId", "is not offered by this provider");
  }
  return admission_.destination_of(service.team_id, *wanted, "/destinationId");
}

ScheduleView ScheduleCommands::create(const CreateScheduleRequest& request, const Principal& principal) {
  require_scope(principal, model::kScopeBackupsWrite);
  const auto seen = deps_.database.read([&](auto& tx) { return require_service(tx, request.service_id, principal); });
  check_form(request);
  const auto turned_on =
      request.turn_backups_on ? deps_.services.admit_backups_on(seen, request.destination_id, principal) : std::nullopt;
  const auto place = turned_on ? std::nullopt : find_place(seen, request.destination_id);

  model::BackupSchedule made;
  made.id = deps_.random.uuid();
  made.team_id = seen.team_id;
  made.service_id = seen.id;
  made.mechanism = request.mechanism;
  apply({.name = request.name,
         .cron = request.cron,
         .time_zone = request.time_zone,
         .interval_hours = request.interval_hours,
         .retention_count = std::optional(request.retention_count),
         .retention_days = std::optional(request.retention_days),
         .enabled = request.enabled},
        made);
  if (place) made.destination_id = place->destination.id;
  if (turned_on && request.destination_id) made.destination_id = turned_on->after.backups.destination_id;
  made.created_at = made.updated_at = deps_.clock.now();
  begin_anew(made, made.created_at);
  WrittenChange begun;
  auto view = deps_.database.write([&](auto& tx) {
    if (turned_on) begun = deps_.services.write_change(tx, *turned_on);
    const auto service = require_service(tx, seen.id, principal);
    require_possible(tx, service, made);
    require_room(tx, service);
    if (place) deps_.services.write_destination(tx, *place, service.team_id);
    metadata::Schedules(tx).insert(made);
    take_effect(tx, principal, made.id);
    events_.record(tx, service, events::kScheduleCreated,
                   fmt::format("the schedule '{}' takes {} backups; {}", made.name, model::to_text(made.mechanism),
                               keep_in_words(made.keep)),
                   {{"schedule.id", made.id}});
    return view_of(made, service);
  });
  deps_.services.begin(begun);
  return view;
}

ScheduleView ScheduleCommands::update(const std::string& id, const UpdateScheduleRequest& request,
                                      const Principal& principal) {
  require_scope(principal, model::kScopeBackupsWrite);
  const auto [seen, its_service] = deps_.database.read([&](auto& tx) {
    auto found = require(tx, id, principal);
    auto service = metadata::Services(tx).require(found.service_id);
    return std::pair(std::move(found), std::move(service));
  });
  Refusals refusals;
  if (request.name) check_name(refusals, *request.name);
  check_time(refusals, request.cron, request.time_zone, request.interval_hours);
  if (request.time_zone && !request.cron && !request.interval_hours && seen.cron.empty()) {
    refusals.add("/timeZone", "says nothing about an interval");
  }
  if (request.retention_count && *request.retention_count) {
    check_range(refusals, "/retentionCount", **request.retention_count, kLargestCount);
  }
  if (request.retention_days && *request.retention_days) {
    check_range(refusals, "/retentionDays", **request.retention_days, kLongestDays);
  }
  refusals.raise();
  const auto place = request.destination_id ? find_place(its_service, *request.destination_id) : std::nullopt;

  return deps_.database.write([&](auto& tx) {
    const auto before = require(tx, id, principal);
    require_generation(principal, before.generation, fmt::format("the schedule '{}'", before.name));
    const auto service = metadata::Services(tx).require(before.service_id);
    auto after = before;
    apply(request, after);
    if (request.destination_id) after.destination_id = place ? place->destination.id : "";
    const auto changes = changes_of(before, after);
    if (changes.empty()) return view_of(before, service);
    // What is wrong with the service does not stop anybody from switching a schedule off, or from what is not its runs.
    if (after.enabled && !same_runs(before, after)) require_possible(tx, service, after);
    after.updated_at = deps_.clock.now();
    ++after.generation;
    if (!same_time(before, after)) begin_anew(after, after.updated_at);
    if (place) deps_.services.write_destination(tx, *place, service.team_id);
    metadata::Schedules(tx).update(after);
    events_.record(tx, service, events::kScheduleChanged,
                   fmt::format("the schedule '{}' was changed: {}", before.name, fmt::join(changes, "; ")),
                   {{"schedule.id", id}});
    return view_of(after, service);
  });
}

Preview ScheduleCommands::remove(const std::string& id, const Principal& principal, Effect effect) {
  require_scope(principal, model::kScopeBackupsDelete);
  auto tx = deps_.database.begin(metadata::Access::kWrite);
  auto schedule = require(tx, id, principal);
  require_generation(principal, schedule.generation, fmt::format("the schedule '{}'", schedule.name));
  std::string stays = "those that it made stay as the service's own do";
  if (schedule.keep.days > 0) stays = fmt::format("those that it made stay for {} days each", schedule.keep.days);
  if (schedule.keep.days == 0 && schedule.keep.count > 0) stays = "those that it made stay until they are deleted";
  Preview preview{.effects = {fmt::format("the schedule '{}' takes no more backups; {}", schedule.name, stays)}};
  if (effect == Effect::kDryRun) return preview;
  const auto service = metadata::Services(tx).require(schedule.service_id);
  schedule.enabled = false;
  schedule.next_at.reset();
  schedule.deleted_at = schedule.updated_at = deps_.clock.now();
  ++schedule.generation;
  metadata::Schedules(tx).update(schedule);
  metadata::Schedules(tx).remove_forgotten(service.id);
  events_.record(tx, service, events::kScheduleDeleted,
                 fmt::format("the schedule '{}' was deleted; {}", schedule.name, stays), {{"schedule.id", id}});
  tx.commit();
  return preview;
}

model::Backup ScheduleCommands::run(const std::string& id, const Principal& principal) {
  require_scope(principal, model::kScopeBackupsWrite);
  const auto schedule = deps_.database.read([&](auto& tx) { return require(tx, id, principal); });
  std::optional<std::string> place;
  if (!schedule.destination_id.empty()) place = schedule.destination_id;
  return deps_.services.schedule_backup(
      schedule.service_id, principal,
      {.mechanism = schedule.mechanism, .destination_id = place, .schedule_id = schedule.id});
}

ScheduleView ScheduleCommands::schedule(const std::string& id, const Principal& principal) {
  require_scope(principal, model::kScopeBackupsRead);
  return deps_.database.read([&](auto& tx) {
    const auto found = require(tx, id, principal);
    return view_of(found, metadata::Services(tx).require(found.service_id));
  });
}

std::vector<ScheduleView> ScheduleCommands::schedules(const std::string& service_id,
                                                      std::optional<std::int64_t> team_id, const Principal& principal) {
  require_scope(principal, model::kScopeBackupsRead);
  return deps_.database.read([&](auto& tx) {
    metadata::ScheduleFilter filter;
    if (!service_id.empty()) filter.service_id = require_service(tx, service_id, principal).id;
    if (team_id) filter.team_ids.emplace({*team_id});
    std::vector<ScheduleView> views;
    std::map<std::string, model::Service> services;
    const auto service_of = [&](const std::string& id) -> const model::Service& {
      const auto known = services.find(id);
      return known != services.end() ? known->second : services[id] = metadata::Services(tx).require(id);
    };
    for (const auto& schedule : metadata::Schedules(tx).list(filter)) {
      if (principal.sees_team(schedule.team_id)) views.push_back(view_of(schedule, service_of(schedule.service_id)));
    }
    return views;
  });
}

model::BackupSchedule ScheduleCommands::require(metadata::Transaction& tx, const std::string& id,
                                                const Principal& principal) {
  auto found = metadata::Schedules(tx).find(id);
  if (!found || !principal.sees_team(found->team_id)) throw not_found(id);
  return std::move(*found);
}

ScheduleView ScheduleCommands::view_of(const model::BackupSchedule& schedule, const model::Service& service) {
  ScheduleView view{.schedule = schedule, .next_runs = {}, .waits_for = {}};
  if (schedule.enabled) view.waits_for = hindrance(service);
  if (service.delete_requested_at) return view;
  try {
    view.next_runs = model::next_runs(schedule, deps_.clock.now(), kShownRuns);
  } catch (const core::Error& error) {
    view.waits_for = error.message();
  }
  return view;
}

}  // namespace backstay::control
