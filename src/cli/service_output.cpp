#include "cli/service_output.h"

#include <fmt/format.h>

#include "cli/cell.h"
#include "cli/table.h"

namespace backstay::cli {
namespace {

using core::json::value;

std::string provider_of(const value& service) {
  return fmt::format("{}:{}", cell(service.at("provider"), "name"), cell(service.at("provider"), "version"));
}

std::string backups_of(const value& service) {
  const value& backups = service.at("backups");
  if (cell(backups, "enabled") != "yes") return "off";
  return fmt::format("every {} h, {} taken", cell(backups, "intervalH"), backups.at("entries").as_array().size());
}

}  // namespace

std::string state_of(const value& service) { return cell(service.at("status"), "state"); }

std::string services_table(const value& services) {
  Table table({"ID", "NAME", "PROVIDER", "STATE", "BACKUPS", "CREATED"});
  for (const auto& service : services.as_array()) {
    table.add({cell(service, "id"), cell(service, "name"), provider_of(service), state_of(service), backups_of(service),
               cell(service, "createdAt")});
  }
  return table.render("no services");
}

std::string service_page(const value& service) {
  std::string out = render_pairs({{"id", cell(service, "id")},
                                  {"name", cell(service, "name")},
                                  {"provider", provider_of(service)},
                                  {"state", state_of(service)},
                                  {"plan", core::to_text(service.at("plan"))},
                                  {"config", core::to_text(service.at("config"))},
                                  {"backups", backups_of(service)},
                                  {"created", cell(service, "createdAt")}});
  const auto* events = service.as_object().if_contains("recentEvents");
  if (events == nullptr || events->as_array().empty()) return out;
  Table table({"TIME", "EVENT", "WHAT HAPPENED"});
  for (const auto& event : events->as_array()) {
    table.add({cell(event, "timestamp"), cell(event, "eventName"), cell(event, "body")});
  }
  return out + "\n" + table.render("");
}

std::string providers_table(const value& providers) {
  Table table({"NAME", "VERSION", "WHAT IT IS", "BACKUPS", "POINT IN TIME", "PAUSE"});
  for (const auto& provider : providers.as_array()) {
    const auto* capabilities = provider.as_object().if_contains("capabilities");
    const value none;
    const value& can = capabilities == nullptr ? none : *capabilities;
    table.add({cell(provider, "name"), cell(provider, "version"), cell(provider, "displayName"), cell(can, "backups"),
               cell(can, "pointInTimeRecovery"), cell(can, "pause")});
  }
  return table.render("no providers");
}

std::string provider_page(const value& provider) {
  Table plans({"PLAN", "NAME", "DESCRIPTION", "PARAMETERS"});
  for (const auto& plan : provider.at("plans").as_array()) {
    std::string parameters;
    for (const auto& [name, parameter] : plan.at("parameters").as_object()) {
      const value& schema = parameter.at("schema");
      parameters +=
          fmt::format("{}{}={}", parameters.empty() ? "" : ", ", std::string_view(name), cell(schema, "default"));
    }
    plans.add({cell(plan, "id"), cell(plan, "name"), cell(plan, "description"), parameters});
  }
  return render_pairs({{"name", cell(provider, "name")},
                       {"version", cell(provider, "version")},
                       {"what it is", cell(provider, "displayName")}}) +
         "\n" + plans.render("no plans") + "\nconfig schema:\n" + core::to_pretty_text(provider.at("configSchema")) +
         "\nsecrets schema:\n" + core::to_pretty_text(provider.at("secretsSchema")) + "\n";
}

std::string details_page(const value& details) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const auto& [key, item] : details.as_object()) pairs.emplace_back(key, cell(details, key));
  return render_pairs(pairs);
}

}  // namespace backstay::cli
