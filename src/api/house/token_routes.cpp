#include "api/house/bodies.h"
#include "api/house/request_parts.h"
#include "api/house/resources.h"
#include "api/house/route_groups.h"
#include "api/json_response.h"

namespace backstay::api::house {

using control::Principal;
using http::Request;

void add_token_routes(http::Router& router, const Context& context) {
  add_contract(router, context, "GET", "/tokens", [context](const Request& /*request*/, const Principal& principal) {
    core::json::array array;
    for (const auto& token : context.queries.tokens(principal)) array.push_back(token_resource(token));
    return json_response(array);
  });
  add_contract(router, context, "POST", "/tokens", [context](const Request& request, const Principal& principal) {
    const auto created = context.commands.create_token(create_token_request(json_body(request)), principal);
    auto resource = token_resource(created.token);
    resource["token"] = created.text.reveal();
    return json_response(resource);
  });
  add_contract(router, context, "DELETE", "/tokens/{id}",
               [context](const Request& request, const Principal& principal) {
                 context.commands.delete_token(path_uuid(request, "token"), principal);
                 return json_response(core::json::object());
               });
}

}  // namespace backstay::api::house
