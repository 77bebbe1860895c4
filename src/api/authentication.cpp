#include "api/authentication.h"

#include "api/dialects.h"
#include "core/error.h"
#include "core/text.h"

namespace backstay::api {
namespace {

using core::Code;
using core::Error;

std::string bearer_token(const http::Request& request) {
  if (const auto credential = dialect_of(request.path).credential) {
    if (auto token = credential(request)) return *std::move(token);
  }
  const auto header = request.headers.find("Authorization");
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
