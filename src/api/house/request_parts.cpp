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
  return text ? core::parse_int(*text) : std::nullopt;
}

std::optional<std::int64_t> query_team(const http::Request& request) {
  const auto team = query_integer(request, "team");
  return team ? team : query_integer(request, "teamId");
}

std::optional<std::string> query_service(const http::Request& request) {
  for (const std::string_view name : {"serviceId", "service"}) {
    if (const auto text = request.query_value(name)) return core::to_lower(*text);
  }
  return std::nullopt;
}

std::optional<core::Timestamp> query_time(const http::Request& request, std::string_view name) {
  const auto text = request.query_value(name);
  if (!text) return std::nullopt;
  try {
    return core::parse_time(*text);
  } catch (core::Error& error) {
    throw error.with_field(fmt::format("?{}", name), "must be a time as in RFC 3339");
  }
}

bool query_flag(const http::Request& request, std::string_view name, bool absent) {
  const auto text = request.query_value(name);
  return text ? *text == "true" : absent;
}

control::Effect query_effect(const http::Request& request) {
  return query_flag(request, "dryRun", false) ? control::Effect::kDryRun : control::Effect::kLasting;
}

control::FinalBackup query_final_backup(const http::Request& request) {
  const auto text = request.query_value("finalBackup");
  return text ? control::final_backup_from_text(*text) : control::FinalBackup::kRequired;
}

std::vector<Parameter> team_parameters() {
  const core::json::object schema{{"type", "integer"}, {"minimum", 0}};
  return {{.name = "team", .description = "only of this team", .schema = schema},
          {.name = "teamId", .description = "another name of team", .schema = schema}};
}

std::vector<Parameter> service_parameters() {
  const core::json::object schema{{"type", "string"}, {"format", "uuid"}};
  return {{.name = "serviceId", .description = "only of this managed service", .schema = schema},
          {.name = "service", .description = "another name of serviceId", .schema = schema}};
}

std::string origin(const http::Request& request, const std::string& public_url) {
  if (!public_url.empty()) return public_url;
  const auto host = request.headers.find("Host");
  if (!host || !is_authority(*host)) return "";
  return fmt::format("{}://{}", request.secure ? "https" : "http", *host);
}

std::string base_url(const http::Request& request, const std::string& public_url) {
  return origin(request, public_url) + "/api";
}

}  // namespace backstay::api::house
