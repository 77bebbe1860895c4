// The groups that make up the house API's routes.
#pragma once

#include <string>
#include <string_view>

#include "api/house/routes.h"

namespace backstay::api::house {

/// What a handler with a checked token does.
using PrincipalHandler = std::function<http::Response(const http::Request&, const control::Principal&)>;

/// Adds a route below /api whose token is checked first.
void add_own(http::Router& router, const Context& context, std::string_view method, const std::string& path,
             const PrincipalHandler& handler);
/// The same at `path` itself too, as Codesphere's two base URLs have it.
void add_contract(http::Router& router, const Context& context, std::string_view method, const std::string& path,
                  const PrincipalHandler& handler);

void add_service_routes(http::Router& router, const Context& context);
void add_provider_routes(http::Router& router, const Context& context);
void add_backup_routes(http::Router& router, const Context& context);
void add_operation_routes(http::Router& router, const Context& context);
void add_team_routes(http::Router& router, const Context& context);
void add_token_routes(http::Router& router, const Context& context);
void add_destination_routes(http::Router& router, const Context& context);
void add_health_routes(http::Router& router, const Context& context);

}  // namespace backstay::api::house
