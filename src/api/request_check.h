// Checks a request against the description of its call, before the handler sees it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/endpoint.h"
#include "core/error.h"
#include "http/types.h"
#include "model/json_schema.h"

namespace backstay::api {

/// The schema with the components that it refers to, as one document that stands alone.
core::json::object with_components(const core::json::object& schema, const core::json::object& components);

/// Immutable; safe for any thread.
class RequestCheck {
 public:
  /// Throws Error(invalid_argument) for a description whose schemas are not in the supported subset.
  RequestCheck(const Endpoint& endpoint, const core::json::object& components);

  /// Throws Error(malformed_json), or Error(invalid_argument) that names every refused field: a JSON Pointer into the
  /// body, "?name" for a query parameter. Query parameters that the call does not have are refused below /api and
  /// ignored on Codesphere's paths, whose clients differ in age, but for dryRun.
  void check(const http::Request& request) const;

 private:
  struct QueryParameter {
    std::string name;
    std::string type;
    bool required = false;
    model::JsonSchema schema;
  };
  void check_query(const http::Request& request, std::vector<core::FieldError>& refused) const;

  bool strict_query_;
  std::vector<QueryParameter> query_;
  std::optional<model::JsonSchema> body_;
  bool body_optional_ = false;
};

/// Throws Error(invalid_argument) that carries every refused field, if there is one.
void require_none_refused(const std::vector<core::FieldError>& refused);

}  // namespace backstay::api
