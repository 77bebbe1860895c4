#include "http/router.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/text.h"

namespace backstay::http {
namespace {

using core::Code;
using core::Error;
using Segments = std::vector<std::string>;

Segments split_path(std::string_view path) {
  if (path.starts_with('/')) path.remove_prefix(1);
  if (path.ends_with('/')) path.remove_suffix(1);
  return path.empty() ? Segments() : core::split(path, '/');
}

}  // namespace

struct Router::Node {
  struct Route {
    std::string pattern;
    std::vector<std::string> names;  // of the parameters, from the left
    Handler handler;
  };
  std::map<std::string, std::unique_ptr<Node>, std::less<>> literals;
  std::unique_ptr<Node> parameter;
  std::unique_ptr<Node> rest;
  std::map<std::string, Route, std::less<>> routes;  // by method

  /// The node whose pattern matches, with what its parameters matched; null if there is none.
  const Node* find(std::span<const std::string> segments, Segments& values) const {
    if (segments.empty() && !routes.empty()) return this;
    if (!segments.empty()) {
      const auto literal = literals.find(segments.front());
      if (literal != literals.end()) {
        if (const Node* found = literal->second->find(segments.subspan(1), values)) return found;
      }
      if (parameter && !segments.front().empty()) {
        values.push_back(segments.front());
        if (const Node* found = parameter->find(segments.subspan(1), values)) return found;
        values.pop_back();
      }
    }
    if (!rest) return nullptr;
    values.push_back(fmt::format("{}", fmt::join(segments, "/")));
    return rest.get();
  }

  /// HEAD falls back to GET.
  [[nodiscard]] auto route_of(const std::string& method) const {
    const auto route = routes.find(method);
    return route == routes.end() && method == "HEAD" ? routes.find("GET") : route;
  }

  void collect(std::vector<std::string>& into) const {
    for (const auto& [method, route] : routes) into.push_back(method + " " + route.pattern);
    for (const auto& [text, node] : literals) node->collect(into);
    if (parameter) parameter->collect(into);
    if (rest) rest->collect(into);
  }

  [[nodiscard]] std::string allowed_methods() const {
    std::vector<std::string> methods;
    for (const auto& [method, route] : routes) methods.push_back(method);
    if (routes.contains("GET") && !routes.contains("HEAD")) methods.emplace_back("HEAD");
    std::ranges::sort(methods);
    return fmt::format("{}", fmt::join(methods, ", "));
  }
};

Router::Router() : root_(std::make_unique<Node>()) {}
Router::~Router() = default;
Router::Router(Router&&) noexcept = default;
Router& Router::operator=(Router&&) noexcept = default;

void Router::add(std::string_view method, std::string_view pattern, Handler handler) {
  const auto refuse = [&](std::string_view why) {
    throw Error(Code::kInternal, fmt::format("route '{} {}' {}", method, pattern, why));
  };
  if (!pattern.starts_with('/')) refuse("does not start with a slash");
  std::vector<std::string> names;
  bool at_rest = false;
  Node* node = root_.get();
  for (const auto& segment : split_path(pattern)) {
    if (segment.empty()) refuse("has an empty segment");
    if (at_rest) refuse("goes on after the rest");
    std::unique_ptr<Node>* next = nullptr;
    if (segment.starts_with('{') && segment.ends_with("*}")) {
      names.push_back(segment.substr(1, segment.size() - 3));
      next = &node->rest;
      at_rest = true;
    } else if (segment.starts_with('{') && segment.ends_with('}')) {
      names.push_back(segment.substr(1, segment.size() - 2));
      next = &node->parameter;
    } else {
      if (segment.find_first_of("{}*") != std::string::npos) refuse("has a malformed segment");
      next = &node->literals[segment];
    }
    if (!*next) *next = std::make_unique<Node>();
    node = next->get();
  }
  const auto [at, added] =
      node->routes.try_emplace(std::string(method), Node::Route{std::string(pattern), names, std::move(handler)});
  if (!added) refuse("exists already");
}

Response Router::handle(const Request& request) const {
  Segments segments = split_path(request.path);
  for (auto& segment : segments) segment = core::url_decode(segment);
  Segments values;
  const Node* node = root_->find(segments, values);
  if (node == nullptr) throw Error(Code::kNotFound, fmt::format("there is nothing at '{}'", request.path));
  const auto route = node->route_of(request.method);
  if (route == node->routes.end()) {
    throw MethodNotAllowed(fmt::format("'{}' does not take method '{}'", request.path, request.method),
                           node->allowed_methods());
  }
  Request matched = request;
  for (std::size_t i = 0; i < values.size(); ++i) matched.params[route->second.names.at(i)] = values[i];
  return route->second.handler(matched);
}

std::string Router::pattern_of(const Request& request) const {
  try {
    Segments segments = split_path(request.path);
    for (auto& segment : segments) segment = core::url_decode(segment);
    Segments values;
    const Node* node = root_->find(segments, values);
    if (node == nullptr) return "";
    const auto route = node->route_of(request.method);
    return route == node->routes.end() ? "" : route->second.pattern;
  } catch (const Error&) {
    return "";  // a broken escape
  }
}

std::vector<std::string> Router::routes() const {
  std::vector<std::string> all;
  root_->collect(all);
  std::ranges::sort(all);
  return all;
}

}  // namespace backstay::http
