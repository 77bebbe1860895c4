// What Cloudheed's calls have in common: their description, their ids, their times and their pages.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/endpoint.h"
#include "control/principal.h"
#include "control/queries.h"
#include "core/error.h"
#include "core/json.h"
#include "core/time.h"
#include "http/types.h"

namespace backstay::api::cloudheed {

/// What comes in front of the UUID in an id.
inline constexpr std::string_view kDatabaseId = "db-";
inline constexpr std::string_view kBackupId = "backup-";
inline constexpr std::string_view kPitrId = "pitr-";
inline constexpr std::string_view kKeyId = "key-";
inline constexpr std::string_view kUserId = "user-";

inline constexpr std::size_t kLongestName = 63;

struct Call {
  std::string method;
  /// Below /v1.
  std::string path;
  /// Without the dialect in front.
  std::string operation;
  std::string summary;
  std::string description = {};
  Scope scope = Scope::kRead;
  std::vector<Parameter> query = {};
  core::json::object body = {};
  bool body_optional = false;
  int status = 200;
  core::json::object answer = {};
};
Endpoint described(const Call& call, std::string_view tag);

std::string id_text(std::string_view kind, std::string_view uuid);
/// The UUID behind the path's parameter. What is none names nothing: Error(not_found).
std::string path_id(const http::Request& request, std::string_view parameter, std::string_view kind);
/// The same of a field of the body; `field` is its JSON Pointer. Throws Error(invalid_argument).
std::string field_id(const std::string& text, std::string_view kind, const std::string& field);

/// In whole seconds, or null.
core::json::value time_value(const std::optional<core::Timestamp>& time);

/// The team that X-Organization-Id names by id or slug, else the only one that the token sees. Throws
/// Error(invalid_argument) where it sees more, or not that one.
std::int64_t owning_team(control::Queries& queries, const http::Request& request, const control::Principal& principal);

/// page and per_page of a list, which counts from 1.
struct Page {
  std::int64_t number = 1;
  std::int64_t size = 20;
};
std::vector<Parameter> page_parameters();
Page page_of(const http::Request& request);
/// {"<name>": the items of the page, "meta": {page, per_page, total, total_pages}}
core::json::object paged(std::string_view name, const core::json::array& all, const Page& page);
core::json::object meta_schema();

// Parts of schemas.
core::json::object text_schema();
core::json::object nullable(std::string_view type);
core::json::object object_schema(const core::json::object& properties, const std::vector<std::string_view>& required);

}  // namespace backstay::api::cloudheed
