#include "api/json_response.h"

namespace backstay::api {

http::Response json_response(const core::json::value& body, int status) {
  http::Response response;
  response.status = status;
  response.headers = {{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}};
  response.body = core::to_text(body);
  return response;
}

core::json::object json_body(const http::Request& request) {
  const core::json::value value = core::parse_json(request.body);
  return core::as_object(value);
}

}  // namespace backstay::api
