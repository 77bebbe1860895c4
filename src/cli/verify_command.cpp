#include "cli/verify_command.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "backup/confirm.h"
#include "cli/offline_command.h"
#include "cli/repository_access.h"
#include "cli/table.h"
#include "core/error.h"
#include "core/text.h"
#include "repository/verify_all.h"

namespace backstay::cli {
namespace {

struct VerifyCommandOptions {
  RepositoryAccess access;
  std::string output = "table";
  std::string instance;
  std::string backup;
  std::string sample;
  std::optional<std::uint64_t> seed;
};

/// "5%", "10GiB", "1000000".
repository::VerifySample parse_sample(const std::string& text) {
  static constexpr std::array<std::pair<std::string_view, std::uint64_t>, 6> kUnits{
      {{"", 1}, {"B", 1}, {"KiB", 1U << 10}, {"MiB", 1U << 20}, {"GiB", 1U << 30}, {"TiB", std::uint64_t{1} << 40}}};
  const auto end = text.find_first_not_of("0123456789.");
  const std::string unit = end == std::string::npos ? "" : text.substr(end);
  char* rest = nullptr;
  const double number = std::strtod(text.c_str(), &rest);
  const bool is_number = rest == text.c_str() + text.size() - unit.size() && rest != text.c_str();
  repository::VerifySample sample;
  if (is_number && unit == "%" && number > 0 && number <= 100) {
    sample.share = number / 100;
    return sample;
  }
  const auto* const known = std::ranges::find(kUnits, unit, &std::pair<std::string_view, std::uint64_t>::first);
  if (is_number && known != kUnits.end() && number > 0 && number < 1e15) {
    sample.bytes = static_cast<std::uint64_t>(number * static_cast<double>(known->second));
    return sample;
  }
  throw core::Error(core::Code::kConfigError, fmt::format("--sample '{}' is no part", text))
      .with_hint("say for example 5% or 10GiB");
}

core::json::array problems_json(const std::vector<repository::VerifyProblem>& problems) {
  core::json::array list;
  for (const auto& problem : problems) {
    list.push_back({{"object", problem.object}, {"what", problem.what}, {"meaning", problem.meaning}});
  }
  return list;
}

std::string problems_text(const std::vector<repository::VerifyProblem>& problems) {
  std::string text;
  for (const auto& problem : problems) {
    text += fmt::format("  {}: {}\n    {}\n", problem.object, problem.what, problem.meaning);
  }
  return text;
}

core::json::object report_json(const repository::VerifyAllReport& report) {
  core::json::array kinds;
  for (const auto& [kind, totals] : report.kinds) {
    kinds.push_back({{"kind", repository::kind_name(kind)},
                     {"objects", totals.objects},
                     {"bytes", totals.bytes},
                     {"objectsRead", totals.objects_read},
                     {"bytesRead", totals.bytes_read}});
  }
  core::json::array orphans;
  for (const auto& orphan : report.orphans) {
    orphans.push_back({{"object", orphan.object}, {"bytes", orphan.bytes}, {"why", orphan.why}});
  }
  return {{"ok", report.ok()},
          {"instances", report.instances},
          {"backups", report.backups},
          {"kinds", std::move(kinds)},
          {"problems", problems_json(report.problems)},
          {"orphans", std::move(orphans)},
          {"foreignObjects", report.foreign},
          {"warnings", core::json::array(report.warnings.begin(), report.warnings.end())}};
}

std::string report_text(const repository::VerifyAllReport& report) {
  Table table({"what", "objects", "size", "read", "size read"});
  for (const auto& [kind, totals] : report.kinds) {
    table.add({std::string(repository::kind_name(kind)), std::to_string(totals.objects),
               core::format_bytes(totals.bytes), std::to_string(totals.objects_read),
               core::format_bytes(totals.bytes_read)});
  }
  std::string text = table.render("nothing is stored");
  for (const auto& warning : report.warnings) text += fmt::format("warning: {}\n", warning);
  std::uint64_t bytes = 0;
  for (const auto& orphan : report.orphans) bytes += orphan.bytes;
  if (!report.orphans.empty()) {
    text += fmt::format("{} objects of {} are whole, but nothing needs them; prune removes them in time:\n",
                        report.orphans.size(), core::format_bytes(bytes));
  }
  for (const auto& orphan : report.orphans) text += fmt::format("  {}: {}\n", orphan.object, orphan.why);
  if (report.foreign > 0) text += fmt::format("{} objects are none of ours\n", report.foreign);
  return text +
         fmt::format("{}: {} instances, {} backups, {} problems\n", report.ok() ? "ok" : "DAMAGED", report.instances,
                     report.backups, report.problems.size()) +
         problems_text(report.problems);
}

/// Everything in the destination; nothing is noted in it.
void verify_destination(const VerifyCommandOptions& options, LocalWorld& world, repository::Repository& repository,
                        std::stop_token stop) {
  repository::VerifyAllOptions wanted;
  std::string drawn;
  if (!options.sample.empty()) {
    wanted.sample = parse_sample(options.sample);
    constexpr std::uint64_t kReadableSeed = 1'000'000'000;
    wanted.sample->seed = options.seed ? *options.seed : world.random.below(kReadableSeed);
    drawn = fmt::format("a sample of {} with --seed {}\n", options.sample, wanted.sample->seed);
  }
  const auto draw = draw_progress();
  wanted.progress = [&](std::uint64_t done, std::uint64_t total) {
    if (draw) draw({.phase = "verify", .done = done, .total = total});
  };
  const auto report = repository::verify_all(repository, wanted, std::move(stop));
  end_progress();
  auto json = report_json(report);
  if (wanted.sample) json["sample"] = {{"of", options.sample}, {"seed", wanted.sample->seed}};
  print_result(options.output, json, drawn + report_text(report));
  if (!report.ok()) throw CLI::RuntimeError(kProblemsFound);
}

/// Single backups: what is found is noted in their records.
void verify_backups(const VerifyCommandOptions& options, LocalWorld& world, repository::Repository& repository,
                    std::stop_token stop) {
  std::vector<std::string> instances = repository.instances();
  if (!options.instance.empty()) instances = {find_instance(repository, options.instance)};
  core::json::array reports;
  std::string text;
  bool found = options.backup.empty();
  bool problems = false;
  for (const std::string& instance : instances) {
    for (const std::string& id : repository.backup_ids(instance)) {
      if (!options.backup.empty() && id != options.backup) continue;
      found = true;
      const auto report = backup::confirm_backup(world.environment(), repository, instance, id, nullptr, stop);
      text += fmt::format("{} {}: {} files, {} packs, {} WAL segments, {} read\n", report.ok() ? "ok     " : "DAMAGED",
                          id, report.files, report.packs, report.wal_segments, core::format_bytes(report.bytes_read)) +
              problems_text(report.problems);
      problems = problems || !report.ok();
      reports.push_back(
          {{"instance", instance}, {"backup", id}, {"ok", report.ok()}, {"problems", problems_json(report.problems)}});
    }
  }
  if (!found) {
    throw core::Error(core::Code::kNotFound, fmt::format("no backup '{}' is stored", options.backup));
  }
  print_result(options.output, reports, text.empty() ? "no backups\n" : text);
  if (problems) throw CLI::RuntimeError(kProblemsFound);
}

void run_verify(const VerifyCommandOptions& options, std::stop_token stop) {
  const bool single = !options.instance.empty() || !options.backup.empty();
  if (single && !options.sample.empty()) {
    throw core::Error(core::Code::kConfigError, "--sample is of the whole destination, not of single backups");
  }
  LocalWorld world;
  const auto repository = options.access.open(world, stop);
  if (single) return verify_backups(options, world, *repository, std::move(stop));
  verify_destination(options, world, *repository, std::move(stop));
}

}  // namespace

void add_verify_command(CLI::App& group) {
  const auto options = std::make_shared<VerifyCommandOptions>();
  CLI::App& command = *group.add_subcommand(
      "verify", "read back what is in the store and check every byte: the whole destination, or single backups");
  options->access.add_to(command);
  add_output_option(command, options->output);
  command.add_option("--instance", options->instance, "only the backups of this one, by name or id");
  command.add_option("--backup", options->backup, "only this one, by id");
  command.add_option("--sample", options->sample,
                     "read only so much of the packs and WAL segments, drawn at random: 5% or 10GiB");
  command.add_option("--seed", options->seed, "draw the same part again");
  set_offline_callback(command, [options](std::stop_token stop) { run_verify(*options, std::move(stop)); });
}

}  // namespace backstay::cli
