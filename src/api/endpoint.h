// What one call of the API is: the description that routes it, checks its requests, and documents it. There is no
// second place that says any of this, so the three cannot disagree.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "control/principal.h"
#include "core/json.h"
#include "http/types.h"

namespace backstay::api {

inline constexpr std::int64_t kHighestLimit = 1000;
/// Of the path, in front of the call's own; absent where the request has none.
inline constexpr std::string_view kTenantParameter = "tenant";

/// Under which base URLs a call is found.
enum class Base {
  kOwn,       ///< below /api only
  kContract,  ///< at /… and below /api, as Codesphere's two base URLs have it
  kRoot,      ///< at /… only
  kTenant,    ///< at /… and at /<tenant>/…, the tenant being the parameter kTenantParameter
};

/// What the token must allow. The route checks it before the handler runs; control checks again what it needs to.
enum class Scope {
  kOpen,  ///< no token
  kRead,
  kWrite,
  kDelete,
  kRecoverInPlace,
  kAdmin,
  kReadServices,
  kWriteServices,
  kDeleteServices,
  kReadBackups,
  kWriteBackups,
  kRecoverBackups,
  kDeleteBackups,
  kAny,      ///< a token, whatever it allows
  kMetrics,  ///< the handler itself asks for a token
};

/// A parameter of the path or the query. `schema` is of type string, integer or boolean.
struct Parameter {
  std::string name;
  std::string description;
  core::json::object schema;
  bool required = false;
};

/// Schemas are JSON Schema in the subset of docs/json-schema.md, and refer to components by ref().
struct Endpoint {
  std::string method;
  std::string path;
  /// The operationId: one word for the call, unique.
  std::string operation;
  std::string tag = {};
  std::string summary;
  std::string description = {};
  Base base = Base::kOwn;
  Scope scope = Scope::kRead;
  /// Those of the path that are not the UUID of something.
  std::vector<Parameter> path_parameters = {};
  std::vector<Parameter> query = {};
  /// A list: takes limit and page_token, and says where it goes on. `usual_limit` 0: without limit, all of it.
  bool paged = false;
  std::int64_t usual_limit = 0;
  /// Sends server-sent events too, where Accept asks for text/event-stream, and goes on after Last-Event-ID.
  bool streamed = false;
  /// One object: its answer has an ETag, and If-None-Match spares it.
  bool tagged = false;
  /// With ?dryRun=true it only tells what it would do: the answer is a Preview.
  bool previewed = false;
  /// Noted in the audit log though it changes nothing.
  bool audited = false;
  /// A change that If-Match can be asked of.
  bool conditional = false;
  /// Of the request's body; empty: the call takes none.
  core::json::object body = {};
  bool body_optional = false;
  /// Besides `body`, takes a file of any size as multipart/form-data or as the raw body of any other type, which the
  /// handler reads from Request::upload.
  bool uploads = false;
  /// Of a success, and of its body; empty: it has none.
  int status = 200;
  core::json::object answer = {};
  std::string answer_type = "application/json";
  /// Of the body of a refusal, where it is not the house's. Read with error_schema().
  core::json::object refusal = {};
  /// Refusals that calls of this kind do not have in general: status and meaning.
  std::vector<std::pair<int, std::string>> more_refusals = {};
  /// The id of the service that a request is about, for the event of its refusal, where the path has no id of it; empty
  /// for none.
  std::function<std::string(const http::Request&, const control::Principal&)> subject = {};
};

/// {"$ref": …} to a component.
core::json::object ref(std::string_view component);
/// The schema of what the call answers when it refuses.
core::json::object error_schema(const Endpoint& endpoint);
core::json::object array_of(const core::json::object& items);

/// Where the call is found, e.g. {"/teams", "/api/teams"}.
std::vector<std::string> routed_paths(const Endpoint& endpoint);
/// The parameters of the path in their order, described or as UUIDs.
std::vector<Parameter> path_parameters(const Endpoint& endpoint);
/// The parameters of the query, with those of paging.
std::vector<Parameter> query_parameters(const Endpoint& endpoint);
/// The header fields of a request that the call heeds.
std::vector<Parameter> header_parameters(const Endpoint& endpoint);
/// True for a call that takes an Idempotency-Key.
bool takes_idempotency_key(const Endpoint& endpoint);
/// The scope's name as tokens have it; empty for an open call, and for one of any token.
std::string_view scope_name(Scope scope);

}  // namespace backstay::api
