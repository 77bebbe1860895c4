// Star systems and planets: how a Guidewire address names services.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "control/queries.h"
#include "core/json.h"

namespace backstay::api::guidewire {

inline constexpr std::string_view kProjectLabel = "guidewire.project";
inline constexpr std::string_view kPlanetLabel = "guidewire.planet";
inline constexpr std::string_view kStageLabel = "guidewire.stage";
/// On a production planet: the star system in which its backups are found, instead of its own.
inline constexpr std::string_view kBackupsProjectLabel = "guidewire.backups-project";
/// On a backup: what its maker says of it.
inline constexpr std::string_view kDescriptionLabel = "guidewire.description";

/// The label, else the service's name.
std::string planet_of(const control::ServiceName& service);
/// dev, qa, uat, preprod or prod; a planet without the label is a dev planet.
std::string stage_of(const control::ServiceName& service);
/// The star system in which the planet's backups are found; empty for a service that is no planet.
std::string backups_project_of(const control::ServiceName& service);

/// {"tenant", "project", "stage", "name"}
core::json::object environment_of(const control::ServiceName& service, const std::string& tenant);

/// The service's id; empty for what is no living planet of the star system.
std::string planet_id(const std::vector<control::ServiceName>& services, const std::string& project,
                      const std::string& planet);
/// Throws Error(not_found) for what is no living planet of the star system.
const control::ServiceName& require_planet(const std::vector<control::ServiceName>& services,
                                           const std::string& project, const std::string& planet);

}  // namespace backstay::api::guidewire
