#include "api/authentication.h"

#include "api/adapter/adapter_routes.h"
#include "core/error.h"
#include "core/text.h"

namespace backstay::api {
namespace {

using core::Code;
using core::Error;

std::string bearer_token(const http::Request& request) {
  const auto header = request.headers.find("Authorization");
  if (adapter::is_adapter_path(request.path)) {
    // Callers of the adapter contract differ in how they send their key.
    if (const auto key = request.headers.find("X-API-Key"); key && !header) return *key;
    if (header && header->find(' ') == std::string::npos) return *header;
  }
  if (!header) throw Error(Code::kUnauthenticated, "the request has no Authorization header");
  const auto space = header->find(' ');
  if (space == std::string::npos || core::to_lower(header->substr(0, space)) != "bearer") {
    throw Error(Code::kUnauthenticated, "the Authorization header is not of the form 'Bearer <token>'");
  }
  return std::string(core::trim(std::string_view(*header).substr(space + 1)));
}

}  // namespace

std::optional<control::Principal> Authentication::find(const http::Request& request) const {
  return lookup_(bearer_token(request));
}

control::Principal Authentication::require(const http::Request& request) const {
  auto principal = find(request);
  if (!principal) throw Error(Code::kUnauthenticated, "the token is unknown, expired or revoked");
  return *std::move(principal);
}

}  // namespace backstay::api
