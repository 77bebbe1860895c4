#include "api/house/schemas.h"

namespace backstay::api::house {
namespace {

constexpr std::string_view kSchemas = R"json({
  "Import": {
    "type": "object",
    "additionalProperties": false,
    "description": "exactly one of path, url and backupId",
    "properties": {
      "path": {"type": "string", "minLength": 1, "maxLength": 4096, "description": "a file, or the directory that pg_dump made, below a root that the operator allows"},
      "destinationId": {"type": "string", "format": "uuid", "description": "of the same team: path is an object below its prefix"},
      "url": {"type": "string", "minLength": 1, "maxLength": 4096, "description": "http or https; redirects are not followed"},
      "backupId": {"type": "string", "format": "uuid", "description": "a logical backup of the same team"},
      "format": {"type": "string", "enum": ["plain", "custom", "tar", "directory"], "description": "refused unless the content is of this form; absent: the content tells it"}
    }
  }
})json";

}  // namespace

core::json::object import_schemas() { return core::parse_json(kSchemas).as_object(); }

}  // namespace backstay::api::house
