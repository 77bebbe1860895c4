#include "api/house/request_parts.h"
#include "api/house/route_groups.h"
#include "api/json_response.h"
#include "api/openapi.h"

namespace backstay::api::house {
namespace {

using control::Principal;
using http::Request;
using http::Response;

class DocsHandlers {
 public:
  DocsHandlers(const RouteTable& routes, const Context& context)
      : routes_(routes), public_url_(context.public_url), version_(context.version) {}

  [[nodiscard]] Response document(const Request& request) const { return json_response(document_for(request)); }

  /// The document, which is what programs come for, or a page for a browser.
  [[nodiscard]] Response docs(const Request& request) const {
    if (request.headers.find("Accept").value_or("").find("text/html") == std::string::npos) return document(request);
    Response response;
    response.headers = {{"Content-Type", "text/html; charset=utf-8"}, {"Cache-Control", "no-store"}};
    response.body = docs_page(document_for(request));
    return response;
  }

 private:
  [[nodiscard]] core::json::object document_for(const Request& request) const {
    return openapi_document(routes_.endpoints(), routes_.components(),
                            {.version = version_, .origin = origin(request, public_url_)});
  }

  const RouteTable& routes_;
  std::string public_url_;
  std::string version_;
};

}  // namespace

void add_docs_routes(RouteTable& routes, const Context& context) {
  const DocsHandlers handlers(routes, context);
  routes.add({.method = "GET",
              .path = "/openapi.json",
              .operation = "openapi",
              .tag = "Server",
              .summary = "This description",
              .scope = Scope::kOpen,
              .answer = ref("Document")},
             [handlers](const Request& request, const Principal& /*nobody*/) { return handlers.document(request); });
  routes.add({.method = "GET",
              .path = "/docs",
              .operation = "docs",
              .tag = "Server",
              .summary = "This description; as a page, where the client accepts text/html",
              .scope = Scope::kOpen,
              .answer = ref("Document")},
             [handlers](const Request& request, const Principal& /*nobody*/) { return handlers.docs(request); });
}

}  // namespace backstay::api::house
