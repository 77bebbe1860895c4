// Bodies of the house API as requests of control. Types and presence are judged here, rules by control.
//
// Fields that Codesphere's bodies may carry and Backstay does not know are ignored; the bodies of Backstay's own calls
// (tokens, destinations) refuse them.
#pragma once

#include "control/requests.h"
#include "core/json.h"

namespace backstay::api::house {

/// All throw Error(invalid_argument) with a JSON Pointer for each wrong field.
control::CreateServiceRequest create_service_request(const core::json::object& body);
control::UpdateServiceRequest update_service_request(const core::json::object& body);
control::CreateTeamRequest create_team_request(const core::json::object& body);
control::CreateTokenRequest create_token_request(const core::json::object& body);
control::CreateDestinationRequest create_destination_request(const core::json::object& body);

}  // namespace backstay::api::house
