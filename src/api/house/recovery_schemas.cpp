#include "api/house/schemas.h"

namespace backstay::api::house {
namespace {

constexpr std::string_view kSchemas = R"json({
  "CreateRecovery": {
    "type": "object",
    "description": "either all of a new service, with recoverFrom, or what is recovered and into what",
    "if": {"anyOf": [{"required": ["into"]}, {"required": ["serviceId"]}, {"required": ["backupId"]}]},
    "then": {"$ref": "#/components/schemas/RecoverService"},
    "else": {
      "allOf": [
        {"$ref": "#/components/schemas/CreateManagedService"},
        {"type": "object", "required": ["recoverFrom"], "properties": {"recoverFrom": {"type": "object"}}}
      ]
    }
  },
  "RecoverService": {
    "type": "object",
    "description": "provider, plan, config, users, passwords and backups are those that the service has now",
    "properties": {
      "serviceId": {"type": ["string", "null"], "format": "uuid"},
      "backupId": {"type": ["string", "null"], "format": "uuid", "description": "instead of serviceId and time"},
      "time": {"type": ["string", "null"], "format": "date-time", "description": "none means the latest state"},
      "into": {
        "type": ["string", "null"],
        "enum": ["new", "candidate", "in-place", null],
        "default": "new",
        "description": "a service of its own, one that may take the original's place, or one that does so at once"
      },
      "name": {"type": ["string", "null"], "minLength": 1, "maxLength": 127,
               "description": "none means the original's with '-restored-' and the time"},
      "keepLogins": {"type": ["boolean", "null"],
                     "description": "other roles may log in as they could then; of a candidate, unless told otherwise"}
    },
    "additionalProperties": false
  },
  "Switch": {
    "type": "object",
    "description": "at most one of the three; none means the newest candidate that is ready",
    "properties": {
      "candidateId": {"type": ["string", "null"], "format": "uuid"},
      "instanceId": {"type": ["string", "null"], "format": "uuid",
                     "description": "one that served before and is kept: switching back"},
      "back": {"type": ["boolean", "null"], "description": "true: to the one of these that served last"}
    },
    "additionalProperties": false
  },
  "Instance": {
    "type": "object",
    "required": ["id", "state", "createdAt", "served"],
    "properties": {
      "id": {"type": "string", "format": "uuid"},
      "state": {"type": "string", "enum": ["preparing", "serving", "stopped", "failed", "removed"]},
      "createdAt": {"type": "string", "format": "date-time"},
      "served": {
        "type": "array",
        "description": "when it served, oldest first; the last one may go on",
        "items": {
          "type": "object",
          "required": ["from"],
          "properties": {
            "from": {"type": "string", "format": "date-time"},
            "until": {"type": "string", "format": "date-time"}
          }
        }
      },
      "keptUntil": {"type": "string", "format": "date-time", "description": "until then it can be switched back to"},
      "unsent": {"type": "boolean", "description": "its last writes are not in the store yet; its data stays until then"}
    }
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
