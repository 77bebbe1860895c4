#include "api/guidewire/planets.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"
#include "core/text.h"

namespace backstay::api::guidewire {
namespace {

constexpr std::string_view kUsualStage = "dev";

std::string label(const control::ServiceName& service, std::string_view name) {
  const auto found = service.labels.find(std::string(name));
  return found == service.labels.end() ? "" : found->second;
}

}  // namespace

std::string planet_of(const control::ServiceName& service) {
  auto planet = label(service, kPlanetLabel);
  return planet.empty() ? service.name : planet;
}

std::string stage_of(const control::ServiceName& service) {
  auto stage = core::to_lower(label(service, kStageLabel));
  return stage.empty() ? std::string(kUsualStage) : stage;
}

std::string backups_project_of(const control::ServiceName& service) {
  auto project = label(service, kProjectLabel);
  if (project.empty()) return project;
  auto elsewhere = label(service, kBackupsProjectLabel);
  return elsewhere.empty() ? project : elsewhere;
}

core::json::object environment_of(const control::ServiceName& service, const std::string& tenant) {
  return {{"tenant", tenant},
          {"project", label(service, kProjectLabel)},
          {"stage", stage_of(service)},
          {"name", planet_of(service)}};
}

std::string planet_id(const std::vector<control::ServiceName>& services, const std::string& project,
                      const std::string& planet) {
  const auto found = std::ranges::find_if(services, [&](const auto& service) {
    return !service.deleted && label(service, kProjectLabel) == project && planet_of(service) == planet;
  });
  return found == services.end() ? "" : found->id;
}

const control::ServiceName& require_planet(const std::vector<control::ServiceName>& services,
                                           const std::string& project, const std::string& planet) {
  const control::ServiceName* found = nullptr;
  for (const auto& service : services) {
    if (service.deleted || label(service, kProjectLabel) != project || planet_of(service) != planet) continue;
    if (found != nullptr) {
      throw core::Error(core::Code::kConflict,
                        fmt::format("the services '{}' and '{}' are both the planet '{}' of the star system '{}'",
                                    found->name, service.name, planet, project))
          .with_hint("give one of them another label guidewire.planet");
    }
    found = &service;
  }
  if (found != nullptr) return *found;
  throw core::Error(core::Code::kNotFound,
                    fmt::format("there is no planet '{}' in the star system '{}'", planet, project))
      .with_hint("a planet is a service with the label guidewire.project");
}

}  // namespace backstay::api::guidewire
