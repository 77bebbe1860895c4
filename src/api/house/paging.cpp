#include "api/house/paging.h"

#include <utility>

#include <fmt/format.h>

#include "api/house/request_parts.h"
#include "api/json_response.h"
#include "core/error.h"
#include "core/text.h"

namespace backstay::api::house {
namespace {

constexpr std::string_view kLimit = "limit";
constexpr std::string_view kToken = "page_token";

/// The query without what differs from page to page.
std::vector<std::pair<std::string, std::string>> filters(const http::Request& request) {
  std::vector<std::pair<std::string, std::string>> kept;
  for (const auto& item : request.query) {
    if (item.first != kLimit && item.first != kToken) kept.push_back(item);
  }
  return kept;
}

std::string query_text(const std::vector<std::pair<std::string, std::string>>& items) {
  std::string text;
  for (const auto& [name, value] : items) {
    text += fmt::format("{}{}={}", text.empty() ? "" : "&", core::url_encode(name), core::url_encode(value));
  }
  return text;
}

/// The list that the request is about, whatever the page and the base URL.
std::string list_of(const http::Request& request) {
  std::string_view path = request.path;
  if (path.starts_with("/api/")) path.remove_prefix(4);
  if (path.ends_with('/')) path.remove_suffix(1);
  auto items = filters(request);
  std::sort(items.begin(), items.end());
  return fmt::format("{}?{}", path, query_text(items));
}

}  // namespace

Page::Page(control::Queries& queries, const http::Request& request, std::size_t usual_limit)
    : queries_(queries), request_(request), list_(list_of(request)) {
  limit_ = static_cast<std::size_t>(query_integer(request, kLimit).value_or(static_cast<std::int64_t>(usual_limit)));
  if (const auto token = request.query_value(kToken)) after_ = queries.page_position(list_, *token);
}

http::Response Page::with_next(core::json::array array, const std::string& position) const {
  auto response = json_response(std::move(array));
  if (position.empty()) return response;
  const std::string token = queries_.page_token(list_, position);
  auto items = filters(request_);
  items.emplace_back(kLimit, std::to_string(limit_));
  items.emplace_back(kToken, token);
  response.headers.set("Link", fmt::format("<{}?{}>; rel=\"next\"", request_.path, query_text(items)));
  response.headers.set("X-Next-Page-Token", token);
  return response;
}

void Page::throw_moved_on() { throw control::page_is_gone(); }

}  // namespace backstay::api::house
