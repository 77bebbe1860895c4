#include "api/cloudheed/call.h"

#include <algorithm>

#include <fmt/format.h>

#include "api/cloudheed/dialect.h"
#include "core/random.h"
#include "core/text.h"

namespace backstay::api::cloudheed {

namespace json = core::json;
using core::Code;
using core::Error;

namespace {

constexpr std::int64_t kLargestPage = 100;
constexpr std::int64_t kLastPage = 1'000'000;

std::string_view thing_of(std::string_view kind) {
  if (kind == kDatabaseId) return "database";
  if (kind == kBackupId) return "backup";
  if (kind == kPitrId) return "recovery";
  return kind == kKeyId ? "API key" : "user";
}

std::optional<std::string> uuid_of(std::string_view text, std::string_view kind) {
  if (!text.starts_with(kind)) return std::nullopt;
  text.remove_prefix(kind.size());
  if (!core::is_uuid(text)) return std::nullopt;
  return core::to_lower(text);
}

Parameter id_parameter(std::string name, std::string_view kind) {
  return {.name = std::move(name),
          .description = fmt::format("{}<uuid>", kind),
          .schema = {{"type", "string"}, {"minLength", 1}, {"maxLength", 64}}};
}

std::int64_t query_number(const http::Request& request, std::string_view name, std::int64_t absent) {
  return core::parse_int(request.query_value(name).value_or("")).value_or(absent);
}

}  // namespace

Endpoint described(const Call& call, std::string_view tag) {
  Endpoint endpoint{.method = call.method,
                    .path = "/v1" + call.path,
                    .operation = "cloudheed-" + call.operation,
                    .tag = fmt::format("Cloudheed: {}", tag),
                    .summary = call.summary,
                    .description = call.description,
                    .base = Base::kRoot,
                    .scope = call.scope,
                    .path_parameters = {id_parameter("id", tag == "API keys" ? kKeyId : kDatabaseId),
                                        id_parameter("backup_id", kBackupId), id_parameter("pitr_id", kPitrId)},
                    .query = call.query,
                    .body = call.body,
                    .body_optional = call.body_optional,
                    .status = call.status,
                    .answer = call.answer,
                    .refusal = refusal_schema(),
                    .more_refusals = {{402, "more than the tier grants"},
                                      {404, "what the path names does not exist for this token"},
                                      {409, "the state of things does not allow it, or the name is taken"},
                                      {422, "something in the request is wrong; details name the fields"}}};
  if (call.scope == Scope::kOpen) {
    endpoint.more_refusals.insert(endpoint.more_refusals.begin(), {{401, "the address or the password is wrong"},
                                                                   {403, "the operator does not allow it"}});
  }
  return endpoint;
}

std::string id_text(std::string_view kind, std::string_view uuid) { return fmt::format("{}{}", kind, uuid); }

std::string path_id(const http::Request& request, std::string_view parameter, std::string_view kind) {
  const auto& text = request.param(parameter);
  if (auto uuid = uuid_of(text, kind)) return std::move(*uuid);
  throw Error(Code::kNotFound, fmt::format("there is no {} '{}'", thing_of(kind), text));
}

std::string field_id(const std::string& text, std::string_view kind, const std::string& field) {
  if (auto uuid = uuid_of(text, kind)) return std::move(*uuid);
  const auto message = fmt::format("there is no {} '{}'", thing_of(kind), text);
  throw Error(Code::kInvalidArgument, message).with_field(field, message);
}

json::value time_value(const std::optional<core::Timestamp>& time) {
  if (!time) return nullptr;
  return json::value(core::format_time(std::chrono::floor<std::chrono::seconds>(*time)));
}

std::int64_t owning_team(control::Queries& queries, const http::Request& request, const control::Principal& principal) {
  const auto named = request.headers.find("X-Organization-Id");
  const auto teams = queries.teams(principal);
  if (!named) {
    if (teams.size() == 1) return teams.front().id;
    throw Error(Code::kInvalidArgument, fmt::format("this token sees {} organizations", teams.size()))
        .with_hint("name one of them in the header field X-Organization-Id, by id or slug");
  }
  const auto team = std::ranges::find_if(
      teams, [&](const auto& known) { return known.slug == *named || std::to_string(known.id) == *named; });
  if (team != teams.end()) return team->id;
  throw Error(Code::kInvalidArgument, fmt::format("this token sees no organization '{}'", *named))
      .with_field("X-Organization-Id", "names no organization of the token");
}

std::vector<Parameter> page_parameters() {
  return {{.name = "page",
           .description = "counts from 1",
           .schema = {{"type", "integer"}, {"minimum", 1}, {"maximum", kLastPage}, {"default", 1}}},
          {.name = "per_page",
           .description = "",
           .schema = {{"type", "integer"}, {"minimum", 1}, {"maximum", kLargestPage}, {"default", Page().size}}}};
}

Page page_of(const http::Request& request) {
  return {.number = query_number(request, "page", Page().number),
          .size = query_number(request, "per_page", Page().size)};
}

json::object paged(std::string_view name, const json::array& all, const Page& page) {
  const auto total = static_cast<std::int64_t>(all.size());
  const auto begin = std::min(total, (page.number - 1) * page.size);
  const auto end = std::min(total, begin + page.size);
  return {{name, json::array(all.begin() + begin, all.begin() + end)},
          {"meta",
           {{"page", page.number},
            {"per_page", page.size},
            {"total", total},
            {"total_pages", (total + page.size - 1) / page.size}}}};
}

json::object meta_schema() {
  const json::object number{{"type", "integer"}};
  return object_schema({{"page", number}, {"per_page", number}, {"total", number}, {"total_pages", number}},
                       {"page", "per_page", "total", "total_pages"});
}

json::object text_schema() { return {{"type", "string"}}; }

json::object nullable(std::string_view type) { return {{"type", json::array{type, "null"}}}; }

json::object object_schema(const json::object& properties, const std::vector<std::string_view>& required) {
  json::object schema{{"type", "object"}, {"properties", properties}};
  json::array names;
  for (const auto name : required) names.emplace_back(name);
  if (!names.empty()) schema["required"] = std::move(names);
  return schema;
}

}  // namespace backstay::api::cloudheed
