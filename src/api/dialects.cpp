#include "api/dialects.h"

#include <algorithm>
#include <array>

#include "api/adapter/adapter_routes.h"
#include "api/cloudheed/dialect.h"
#include "api/errors.h"
#include "api/guidewire/dialect.h"
#include "api/lnchr/dialect.h"

namespace backstay::api {
namespace {

constexpr Dialect kHouse{.owns = [](std::string_view) { return true; },
                         .credential = nullptr,
                         .refusal = house_error_response,
                         .dress = nullptr};

// The first that owns a path: Guidewire's lie below those that Lnchr's would be, the house's are what is left.
const std::array<const Dialect*, 5> kSpoken{&adapter::kDialect, &guidewire::kDialect, &lnchr::kDialect,
                                            &cloudheed::kDialect, &kHouse};

constexpr std::string_view kDoubled = "//";

/// Base URLs that end with a slash are put in front of paths that begin with one.
http::Request with_one_slash(http::Request request) {
  request.path.erase(0, std::min(request.path.find_first_not_of('/'), request.path.size()) - 1);
  return request;
}

}  // namespace

const Dialect& dialect_of(std::string_view path) {
  return **std::ranges::find_if(kSpoken, [&](const Dialect* dialect) { return dialect->owns(path); });
}

http::Response Dialects::handle(const http::Request& request) const {
  if (request.path.starts_with(kDoubled)) return handle(with_one_slash(request));
  return dressed(request, router_.handle(request));
}

http::Response Dialects::refuse(const http::Request& request, const core::Error& error) const {
  if (request.path.starts_with(kDoubled)) return refuse(with_one_slash(request), error);
  return dressed(request, error_response(request, error));
}

http::Response Dialects::dressed(const http::Request& request, http::Response response) const {
  if (const auto dress = dialect_of(request.path).dress) dress({.version = version_, .now = clock_.now()}, response);
  return response;
}

}  // namespace backstay::api
