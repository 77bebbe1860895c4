// Bodies of the house API as requests of control. The route has checked each against its schema (schemas.h); here is
// what a schema cannot say well, and the reading. Rules of the product are control's.
//
// Fields that Codesphere's bodies may carry and Backstay does not know are ignored; the schemas of Backstay's own calls
// (tokens, destinations) refuse them.
#pragma once

#include "control/requests.h"
#include "core/json.h"
#include "model/backup.h"

namespace backstay::api::house {

/// All throw Error(invalid_argument) with a JSON Pointer for each wrong field. null counts as absent.
control::CreateServiceRequest create_service_request(const core::json::object& body);
control::RecoverServiceRequest recover_service_request(const core::json::object& body);
control::SwitchRequest switch_request(const core::json::object& body);
control::UpdateServiceRequest update_service_request(const core::json::object& body);
control::CreateTeamRequest create_team_request(const core::json::object& body);
control::CreateTokenRequest create_token_request(const core::json::object& body);
control::CreateDestinationRequest create_destination_request(const core::json::object& body);

control::ChangeBackupRequest change_backup_request(const core::json::object& body);

/// How a backup is to be taken.
control::TakeBackupRequest take_backup_request(const core::json::object& body);
control::UpdateDestinationRequest update_destination_request(const core::json::object& body);

}  // namespace backstay::api::house
