// JSON Schema: a strict, documented subset (docs/json-schema.md). What is not in the subset is refused when the schema
// is compiled, so that no rule is silently ignored.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/json.h"

namespace backstay::model {

struct SchemaDocument;

/// Immutable and cheap to copy; safe for any thread.
class JsonSchema {
 public:
  /// Throws Error(invalid_argument) with a field that points at the first keyword that is unknown or ill-formed.
  static JsonSchema compile(const core::json::value& schema);

  /// Every violation, each with the JSON Pointer of the value below `pointer`; empty if the value is valid.
  [[nodiscard]] std::vector<core::FieldError> validate(const core::json::value& value,
                                                       const std::string& pointer = "") const;
  /// Throws Error(invalid_argument) that carries every violation.
  void require_valid(const core::json::value& value, const std::string& pointer = "") const;

 private:
  explicit JsonSchema(std::shared_ptr<const SchemaDocument> document) : document_(std::move(document)) {}
  std::shared_ptr<const SchemaDocument> document_;
};

/// Adds the `default` of each absent property that the schema's own `properties` name, recursively in objects that are
/// there. Nothing is invented for composed schemas.
core::json::object with_defaults(const core::json::object& schema, core::json::object value);

/// Violations of x-update-constraint when `before` becomes `after`: "immutable", "increase-only", "minor-upgrade-only".
/// A property that was absent before may be set once.
std::vector<core::FieldError> check_update_constraints(const core::json::object& schema,
                                                       const core::json::object& before,
                                                       const core::json::object& after, const std::string& pointer);

}  // namespace backstay::model
