// From method and path to a handler.
//
// A pattern is a path whose segments are literals, `{name}` (one segment, not empty), or, as the last one, `{name*}`
// (the rest of the path, which may be empty and keeps its slashes). A literal wins over `{name}`, which wins over
// `{name*}`, segment by segment from the left, and the search goes back where a choice leads nowhere. Segments are
// percent-decoded after splitting, so an encoded slash stays inside its segment. A trailing slash makes no difference.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "http/types.h"

namespace backstay::http {

class Router {
 public:
  Router();
  ~Router();
  Router(Router&&) noexcept;
  Router& operator=(Router&&) noexcept;

  /// Throws Error(internal) for a malformed pattern and for a route that exists already. Not thread-safe.
  void add(std::string_view method, std::string_view pattern, Handler handler);

  /// Calls the route's handler with `params` filled in. HEAD falls back to GET. Throws Error(not_found) for an unknown
  /// path, MethodNotAllowed for an unknown method, Error(invalid_argument) for a broken escape, and what the handler
  /// throws. Safe for any thread once all routes are added.
  Response handle(const Request& request) const;
  /// The pattern that a request would be handled by; empty: by none.
  [[nodiscard]] std::string pattern_of(const Request& request) const;
  /// Every "METHOD pattern", sorted: for documentation and tests.
  [[nodiscard]] std::vector<std::string> routes() const;

 private:
  struct Node;
  std::unique_ptr<Node> root_;
};

/// The path exists, the method does not. The server adds the Allow header to the rendered answer.
class MethodNotAllowed : public core::Error {
 public:
  MethodNotAllowed(std::string message, std::string allow)
      : Error(core::Code::kMethodNotAllowed, std::move(message)), allow_(std::move(allow)) {}
  /// The value of the Allow header, e.g. "GET, HEAD, POST".
  [[nodiscard]] const std::string& allow() const { return allow_; }

 private:
  std::string allow_;
};

}  // namespace backstay::http
