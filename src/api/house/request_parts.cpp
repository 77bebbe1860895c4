#include "api/house/request_parts.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"
#include "core/random.h"
#include "core/text.h"

namespace backstay::api::house {
namespace {

using core::Code;
using core::Error;

constexpr std::int64_t kHighestLimit = 1000;
constexpr std::int64_t kUsualLimit = 100;

[[noreturn]] void refuse(std::string_view name, const std::string& value, std::string_view wanted) {
  throw Error(Code::kInvalidArgument,
              fmt::format("the query parameter '{}' is '{}', it must be {}", name, value, wanted))
      .with_field(fmt::format("?{}", name), fmt::format("must be {}", wanted));
}

/// A host header that is one: it goes back into a link.
bool is_authority(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || std::string_view(".-_:[]").find(static_cast<char>(c)) != std::string_view::npos;
  });
}

}  // namespace

std::string path_uuid(const http::Request& request, std::string_view what) {
  const std::string& id = request.param("id");
  if (!core::is_uuid(id)) throw Error(Code::kNotFound, fmt::format("there is no {} '{}'", what, id));
  return core::to_lower(id);
}

std::int64_t path_team(const http::Request& request) {
  const auto id = core::parse_int(request.param("id"));
  if (!id) throw Error(Code::kNotFound, fmt::format("there is no team '{}'", request.param("id")));
  return *id;
}

std::optional<std::int64_t> query_integer(const http::Request& request, std::string_view name) {
  const auto text = request.query_value(name);
  if (!text) return std::nullopt;
  const auto value = core::parse_int(*text);
  if (!value || *value < 0) refuse(name, *text, "a non-negative integer");
  return value;
}

std::optional<std::int64_t> query_team(const http::Request& request) {
  const auto team = query_integer(request, "team");
  return team ? team : query_integer(request, "teamId");
}

std::optional<std::string> query_service(const http::Request& request) {
  for (const std::string_view name : {"serviceId", "service"}) {
    const auto text = request.query_value(name);
    if (!text) continue;
    if (!core::is_uuid(*text)) refuse(name, *text, "a UUID");
    return core::to_lower(*text);
  }
  return std::nullopt;
}

bool query_flag(const http::Request& request, std::string_view name, bool absent) {
  const auto text = request.query_value(name);
  if (!text) return absent;
  if (*text != "true" && *text != "false") refuse(name, *text, "true or false");
  return *text == "true";
}

std::size_t query_limit(const http::Request& request) {
  const auto limit = query_integer(request, "limit").value_or(kUsualLimit);
  return static_cast<std::size_t>(std::clamp<std::int64_t>(limit, 1, kHighestLimit));
}

std::string base_url(const http::Request& request, const std::string& public_url) {
  if (!public_url.empty()) return public_url + "/api";
  const auto host = request.headers.find("Host");
  if (!host || !is_authority(*host)) return "/api";
  return fmt::format("{}://{}/api", request.secure ? "https" : "http", *host);
}

}  // namespace backstay::api::house
