// The dialects that are spoken, found by the path of a request.
#pragma once

#include <string>
#include <string_view>

#include "api/dialect.h"
#include "core/time.h"
#include "http/router.h"

namespace backstay::api {

/// The house API for what is no other dialect's.
const Dialect& dialect_of(std::string_view path);

/// Serves a router's calls, each answer as its dialect has it. Thread-safe once the router is filled.
class Dialects {
 public:
  /// Router and clock outlive this; `version` is the program's.
  Dialects(const http::Router& router, core::Clock& clock, std::string version)
      : router_(router), clock_(clock), version_(std::move(version)) {}

  /// Throws what the router throws.
  [[nodiscard]] http::Response handle(const http::Request& request) const;
  [[nodiscard]] http::Response refuse(const http::Request& request, const core::Error& error) const;

 private:
  [[nodiscard]] http::Response dressed(const http::Request& request, http::Response response) const;

  const http::Router& router_;
  core::Clock& clock_;
  const std::string version_;
};

}  // namespace backstay::api
