// From a request's target to a route: path, escapes, query. And addresses that tenants give.
#include "fuzz.h"
#include "http/client.h"
#include "http/router.h"
#include "http/server_core.h"

namespace {

using namespace backstay;  // NOLINT(google-build-using-namespace)
using core::Code;

http::Router make_router() {
  http::Router router;
  const auto answer = [](const http::Request& request) { return http::Response{.body = request.param("id")}; };
  router.add("GET", "/managed-services/{id}", answer);
  router.add("POST", "/managed-services/{id}/backups", answer);
  router.add("GET", "/managed-services/providers", [](const http::Request&) { return http::Response{}; });
  router.add("GET", "/api/v1/{tenant}/databases/{id}", answer);
  router.add("DELETE", "/api/{id}", answer);
  router.add("GET", "/files/{id*}", answer);
  return router;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const http::Router router = make_router();
  fuzz::Input input(data, size);
  constexpr const char* kMethods[] = {"GET", "POST", "DELETE", "HEAD", "PATCH"};
  http::Request request{.method = kMethods[input.byte() % 5]};
  const auto target = input.line();
  if (fuzz::parses({Code::kInvalidArgument}, [&] { http::set_target(request, target); })) {
    fuzz::parses({Code::kInvalidArgument, Code::kNotFound, Code::kMethodNotAllowed}, [&] {
      const auto pattern = router.pattern_of(request);
      (void)router.handle(request);
      fuzz::require(!pattern.empty(), "what is handled has a pattern");
    });
  }
  const auto text = input.line();
  fuzz::parses({Code::kInvalidArgument}, [&] { (void)http::parse_query(text); });
  fuzz::parses({Code::kInvalidArgument}, [&] {
    const auto url = http::parse_url(text);
    fuzz::require(!url.host.empty() && url.port != 0, "an address has a host and a port");
  });
  return 0;
}
