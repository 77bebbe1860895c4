// How services and providers look to people.
#pragma once

#include <string>

#include "core/json.h"

namespace backstay::cli {

/// Each takes an answer of the house API.
std::string services_table(const core::json::value& services);
std::string service_page(const core::json::value& service);
std::string details_page(const core::json::value& details);
std::string providers_table(const core::json::value& providers);
std::string provider_page(const core::json::value& provider);

/// The service's status.state.
std::string state_of(const core::json::value& service);

}  // namespace backstay::cli
