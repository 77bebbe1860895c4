#include "api/house/bodies.h"
#include "api/house/paging.h"
#include "api/house/request_parts.h"
#include "api/house/resources.h"
#include "api/house/route_groups.h"
#include "api/json_response.h"

namespace backstay::api::house {

using control::Principal;
using http::Request;

void add_token_routes(RouteTable& routes, const Context& context) {
  routes.add({.method = "GET",
              .path = "/tokens",
              .operation = "tokens-list",
              .tag = "Tokens",
              .summary = "List tokens",
              .description = "All of them for administrators; their own for a person who has logged in.",
              .base = Base::kContract,
              .scope = Scope::kAny,
              .paged = true,
              .answer = array_of(ref("Token"))},
             [context](const Request& request, const Principal& principal) {
               return Page(context.queries, request)
                   .answer_from(context.queries.tokens(principal), token_resource,
                                [](const model::Token& token) { return token.id; });
             });
  routes.add(
      {.method = "POST",
       .path = "/tokens",
       .operation = "tokens-create",
       .tag = "Tokens",
       .summary = "Make a token, shown in this one answer only",
       .description = "By an administrator, or by a person who has logged in: theirs, and no more than they may.",
       .base = Base::kContract,
       .scope = Scope::kAny,
       .body = ref("CreateToken"),
       .answer = ref("Token")},
      [context](const Request& request, const Principal& principal) {
        const auto created = context.commands.create_token(create_token_request(json_body(request)), principal);
        auto resource = token_resource(created.token);
        resource["token"] = created.text.reveal();
        return json_response(resource);
      });
  routes.add(
      {.method = "DELETE",
       .path = "/tokens/{id}",
       .operation = "tokens-delete",
       .tag = "Tokens",
       .summary = "Revoke a token",
       .base = Base::kContract,
       .scope = Scope::kAny,
       .previewed = true,
       .answer = ref("Empty")},
      [context](const Request& request, const Principal& principal) {
        const auto effect = query_effect(request);
        const auto preview = context.commands.delete_token(path_uuid(request, "token"), principal, effect);
        return json_response(effect == control::Effect::kDryRun ? preview_resource(preview) : core::json::object());
      });
}

}  // namespace backstay::api::house
