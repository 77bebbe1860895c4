// The calls of the API: each is routed, checked and documented from one description.
#pragma once

#include <functional>
#include <vector>

#include "api/authentication.h"
#include "api/endpoint.h"
#include "control/principal.h"
#include "core/json.h"
#include "http/router.h"

namespace backstay::api {

/// What a call does once its token and its request were checked. The principal of an open call is nobody.
using EndpointHandler = std::function<http::Response(const http::Request&, const control::Principal&)>;

/// Filled at start by one thread.
class RouteTable {
 public:
  /// Router and authentication outlive this; `components` are the schemas that descriptions refer to.
  RouteTable(http::Router& router, const Authentication& authentication, core::json::object components)
      : router_(router), authentication_(authentication), components_(std::move(components)) {}

  /// Throws Error(internal) for an operation or a route that exists already.
  void add(const Endpoint& endpoint, const EndpointHandler& handler);

  [[nodiscard]] const std::vector<Endpoint>& endpoints() const { return endpoints_; }
  [[nodiscard]] const core::json::object& components() const { return components_; }

 private:
  http::Router& router_;
  const Authentication& authentication_;
  core::json::object components_;
  std::vector<Endpoint> endpoints_;
};

}  // namespace backstay::api
