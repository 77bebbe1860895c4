#include "api/house/routes.h"

#include "api/house/route_groups.h"

namespace backstay::api::house {
namespace {

http::Handler checked(const Context& context, PrincipalHandler handler) {
  const Authentication& authentication = context.authentication;
  return [&authentication, handler = std::move(handler)](const http::Request& request) {
    return handler(request, authentication.require(request));
  };
}

}  // namespace

void add_own(http::Router& router, const Context& context, std::string_view method, const std::string& path,
             const PrincipalHandler& handler) {
  router.add(method, "/api" + path, checked(context, handler));
}

void add_contract(http::Router& router, const Context& context, std::string_view method, const std::string& path,
                  const PrincipalHandler& handler) {
  router.add(method, path, checked(context, handler));
  add_own(router, context, method, path, handler);
}

void add_routes(http::Router& router, const Context& context) {
  add_provider_routes(router, context);
  add_service_routes(router, context);
  add_backup_routes(router, context);
  add_operation_routes(router, context);
  add_team_routes(router, context);
  add_token_routes(router, context);
  add_destination_routes(router, context);
  add_health_routes(router, context);
}

}  // namespace backstay::api::house
