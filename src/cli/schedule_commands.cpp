#include "cli/schedule_commands.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/service_commands.h"

namespace backstay::cli {
namespace {

using core::json::value;

constexpr std::string_view kSchedules = "/api/schedules";

std::string path_of(const std::string& id) { return fmt::format("{}/{}", kSchedules, id); }

std::string when(const value& schedule) {
  const auto cron = cell(schedule, "cron");
  return cron.empty() ? fmt::format("every {} h", cell(schedule, "intervalH"))
                      : fmt::format("{} {}", cron, cell(schedule, "timeZone"));
}

std::string kept(const value& schedule) {
  const auto count = cell(schedule, "retentionCount");
  const auto days = cell(schedule, "retentionDays");
  if (count.empty() && days.empty()) return "as the service's";
  if (days.empty()) return fmt::format("newest {}", count);
  return count.empty() ? fmt::format("{} days", days) : fmt::format("newest {}, {} days", count, days);
}

std::string last_run(const value& schedule) {
  const auto* last = schedule.as_object().if_contains("lastRun");
  return last == nullptr ? "" : fmt::format("{} {}", cell(*last, "time"), cell(*last, "outcome"));
}

std::string next_run(const value& schedule) {
  const auto& runs = schedule.at("nextRuns").as_array();
  return runs.empty() ? "" : std::string(runs.at(0).as_string());
}

std::string schedules_table(const value& schedules) {
  Table table({"ID", "NAME", "ON", "WHEN", "KEPT", "LAST", "NEXT"});
  for (const auto& schedule : schedules.as_array()) {
    table.add({cell(schedule, "id"), cell(schedule, "name"), cell(schedule, "enabled"), when(schedule), kept(schedule),
               last_run(schedule), next_run(schedule)});
  }
  return table.render("no schedules");
}

std::string schedule_page(const value& schedule) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const auto* key : {"id", "name", "serviceId", "mechanism", "enabled"})
    pairs.emplace_back(key, cell(schedule, key));
  pairs.emplace_back("when", when(schedule));
  pairs.emplace_back("kept", kept(schedule));
  for (const auto* key : {"destinationId", "waitsFor"}) {
    if (const auto text = cell(schedule, key); !text.empty()) pairs.emplace_back(key, text);
  }
  pairs.emplace_back("last run", last_run(schedule));
  for (const auto& run : schedule.at("nextRuns").as_array()) pairs.emplace_back("next run", run.as_string());
  return render_pairs(pairs);
}

void add_schedule_list(CLI::App& group, CommandContext& context) {
  auto service = std::make_shared<std::string>();
  auto* command = group.add_subcommand("list", "schedules of a service, or all");
  command->add_option("service", *service, "id or name");
  context.add_command(*command, [&context, service] {
    Query query;
    if (!service->empty()) query.emplace_back("serviceId", find_service_id(context, *service));
    context.print(context.client().get(std::string(kSchedules), query), schedules_table);
  });
}

void add_schedule_create(CLI::App& group, CommandContext& context) {
  struct ScheduleOptions {
    std::string service, name, cron, time_zone, destination;
    std::int64_t every = 0, keep = 0, keep_days = 0;
    bool logical = false, turn_on = false;
  };
  auto options = std::make_shared<ScheduleOptions>();
  auto* command = group.add_subcommand("create", "take backups by a schedule, beside the service's own interval");
  command->add_option("service", options->service, "id or name")->required();
  command->add_option("--name", options->name, "what to call it");
  auto* cron = command->add_option("--cron", options->cron, "five fields, e.g. '30 2 * * *', or @daily");
  command->add_option("--time-zone", options->time_zone, "of the cron expression, e.g. Europe/Berlin; UTC if absent");
  command->add_option("--every", options->every, "instead of --cron: hours between two runs")->excludes(cron);
  command->add_option("--keep", options->keep, "keep so many of the newest");
  command->add_option("--keep-days", options->keep_days, "keep each for so many days");
  command->add_option("--destination", options->destination, "id; absent: where the service's backups go");
  command->add_flag("--logical", options->logical, "dumps instead of physical backups");
  command->add_flag("--turn-backups-on", options->turn_on, "with it, where backups of the service are off");
  context.add_command(*command, [&context, options] {
    core::json::object body{{"serviceId", find_service_id(context, options->service)}};
    const auto add_text = [&](const char* key, const std::string& text) {
      if (!text.empty()) body[key] = text;
    };
    const auto add_number = [&](const char* key, std::int64_t number) {
      if (number != 0) body[key] = number;
    };
    add_text("name", options->name);
    add_text("cron", options->cron);
    add_text("timeZone", options->time_zone);
    add_text("destinationId", options->destination);
    add_number("intervalH", options->every);
    add_number("retentionCount", options->keep);
    add_number("retentionDays", options->keep_days);
    if (options->logical) body["mechanism"] = "logical";
    if (options->turn_on) body["turnBackupsOn"] = true;
    context.print(context.client().send("POST", std::string(kSchedules), body), schedule_page);
  });
}

/// A command on one schedule.
void add_on_one(CLI::App& group, CommandContext& context, const std::string& name, const std::string& help,
                const std::function<void(const std::string& id)>& run) {
  auto id = std::make_shared<std::string>();
  auto* command = group.add_subcommand(name, help);
  command->add_option("schedule", *id, "its id")->required();
  context.add_command(*command, [id, run] { run(*id); });
}

}  // namespace

void add_schedule_commands(CLI::App& program, CommandContext& context) {
  auto* group = program.add_subcommand("schedules", "backups at times that are named");
  group->require_subcommand(1);
  add_schedule_list(*group, context);
  add_schedule_create(*group, context);
  add_on_one(*group, context, "show", "one schedule and its next runs",
             [&context](const std::string& id) { context.print(context.client().get(path_of(id)), schedule_page); });
  add_on_one(*group, context, "run", "take a backup of it now", [&context](const std::string& id) {
    context.print(context.client().send("POST", path_of(id) + "/run", nullptr),
                  [](const value& backup) { return fmt::format("backup {} is scheduled\n", cell(backup, "id")); });
  });
  for (const bool on : {true, false}) {
    add_on_one(*group, context, on ? "enable" : "disable", on ? "let it run again" : "let it rest",
               [&context, on](const std::string& id) {
                 context.print(context.client().send("PATCH", path_of(id), {{"enabled", on}}), schedule_page);
               });
  }
  add_on_one(*group, context, "delete", "take no more backups by it; what it made stays by its rule",
             [&context](const std::string& id) {
               context.print(context.client().send("DELETE", path_of(id), nullptr),
                             [&](const value&) { return fmt::format("schedule {} is deleted\n", id); });
             });
}

}  // namespace backstay::cli
