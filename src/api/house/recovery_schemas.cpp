#include "api/house/schemas.h"

namespace backstay::api::house {
namespace {

constexpr std::string_view kSchemas = R"json({
  "CreateRecovery": {
    "allOf": [
      {"$ref": "#/components/schemas/CreateManagedService"},
      {"type": "object", "required": ["recoverFrom"], "properties": {"recoverFrom": {"type": "object"}}}
    ]
  },
  "Recovery": {
    "type": "object",
    "required": ["dryRun", "description", "forecast"],
    "properties": {
      "dryRun": {"type": "boolean"},
      "description": {"type": "string", "description": "what is recovered, in words"},
      "forecast": {"$ref": "#/components/schemas/RecoveryForecast"},
      "service": {"$ref": "#/components/schemas/ManagedService"},
      "operationId": {"type": "string", "format": "uuid"}
    }
  },
  "RecoveryForecast": {
    "type": "object",
    "description": "of a service that a backend elsewhere recovers, only the warnings are known",
    "required": ["warnings"],
    "properties": {
      "instanceId": {"type": "string", "format": "uuid", "description": "the body of data that is recovered"},
      "time": {"type": "string", "format": "date-time", "description": "the state of when"},
      "lastCommit": {"type": "string", "format": "date-time", "description": "the last transaction that will be there"},
      "backup": {
        "type": "object",
        "description": "what is restored before WAL is replayed",
        "required": ["id", "takenAt", "storedBytes"],
        "properties": {
          "id": {"type": "string", "format": "uuid"},
          "takenAt": {"type": "string", "format": "date-time"},
          "storedBytes": {"type": "integer", "minimum": 0}
        }
      },
      "restoreBytes": {"type": "integer", "minimum": 0, "description": "of files"},
      "wal": {
        "type": "object",
        "description": "what is replayed",
        "required": ["from", "to", "segments", "bytes"],
        "properties": {
          "from": {"$ref": "#/components/schemas/Lsn"},
          "to": {"$ref": "#/components/schemas/Lsn"},
          "segments": {"type": "integer", "minimum": 0},
          "bytes": {"type": "integer", "minimum": 0}
        }
      },
      "estimate": {
        "type": "object",
        "required": ["seconds", "basis"],
        "properties": {
          "seconds": {"type": "integer", "minimum": 0},
          "basis": {"type": "string", "description": "what it rests on"}
        }
      },
      "warnings": {"type": "array", "items": {"type": "string"}}
    }
  }
})json";

}  // namespace

core::json::object recovery_schemas() { return core::parse_json(kSchemas).as_object(); }

}  // namespace backstay::api::house
