#include "api/house/schemas.h"

namespace backstay::api::house {
namespace {

// Where the contract says "optional", null means absent in a request; an answer has no null.
constexpr std::string_view kRequests = R"json({
  "CreateManagedService": {
    "type": "object",
    "required": ["teamId", "name", "provider", "plan"],
    "properties": {
      "teamId": {"type": "integer", "minimum": 0},
      "name": {"type": "string", "minLength": 1, "maxLength": 127,
        "description": "letters, digits, '-', '_' and inner spaces; unique among the team's services that are not deleted"},
      "provider": {"$ref": "#/components/schemas/ProviderChoice"},
      "plan": {"$ref": "#/components/schemas/PlanChoice"},
      "config": {"type": ["object", "null"], "description": "as the provider's configSchema says; absent means empty"},
      "secrets": {"$ref": "#/components/schemas/SecretValues"},
      "backups": {"$ref": "#/components/schemas/BackupsChoice"},
      "recoverFrom": {"$ref": "#/components/schemas/RecoverFrom"},
      "deletionProtection": {"type": ["boolean", "null"], "description": "a deletion is refused until this is taken back"},
      "labels": {"$ref": "#/components/schemas/LabelChoice"},
      "version": {"type": ["string", "null"], "description": "one of the provider's versions; refused where it has none"}
    }
  },
  "UpdateManagedService": {
    "type": "object",
    "description": "what is not named keeps its value; config, secrets, plan.parameters and backups are merged key by key, but backups.config and backups.secrets are replaced",
    "properties": {
      "name": {"type": ["string", "null"], "minLength": 1, "maxLength": 127},
      "config": {"type": ["object", "null"], "description": "a null inside removes the key"},
      "secrets": {"$ref": "#/components/schemas/SecretValues"},
      "plan": {"anyOf": [{"$ref": "#/components/schemas/PlanChoice"}, {"type": "null"}]},
      "backups": {"$ref": "#/components/schemas/BackupsChoice"},
      "pause": {"type": ["boolean", "null"]},
      "deletionProtection": {"type": ["boolean", "null"]},
      "labels": {"$ref": "#/components/schemas/LabelChanges"},
      "version": {"type": ["string", "null"]}
    }
  },
  "ProviderChoice": {
    "type": "object",
    "required": ["name"],
    "description": "version and schemaVersion are two names of one thing; none means the newest",
    "properties": {
      "name": {"type": "string", "minLength": 1},
      "version": {"type": ["string", "null"]},
      "schemaVersion": {"type": ["string", "null"]}
    }
  },
  "PlanChoice": {
    "type": "object",
    "required": ["id", "parameters"],
    "properties": {
      "id": {"type": "integer", "minimum": 0},
      "parameters": {"type": "object", "description": "as the plan's schemas say"}
    }
  },
  "Labels": {"type": "object", "additionalProperties": {"type": "string"}, "description": "short texts by name"},
  "LabelChoice": {
    "type": ["object", "null"],
    "maxProperties": 32,
    "additionalProperties": {"type": "string", "maxLength": 1024}
  },
  "LabelChanges": {
    "type": ["object", "null"],
    "description": "merged label by label; null takes one away",
    "additionalProperties": {"type": ["string", "null"], "maxLength": 1024}
  },
  "SecretValues": {
    "type": ["object", "null"],
    "additionalProperties": {"type": "string", "writeOnly": true}
  },
  "BackupsChoice": {
    "type": ["object", "null"],
    "properties": {
      "enabled": {"type": ["boolean", "null"]},
      "intervalH": {"type": ["integer", "null"], "minimum": 1, "maximum": 730},
      "deleteRetentionDays": {"type": ["integer", "null"], "minimum": 1, "maximum": 365},
      "config": {"type": ["object", "null"], "description": "as the provider's backups.configSchema says"},
      "secrets": {"$ref": "#/components/schemas/SecretValues"}
    }
  },
  "RecoverFrom": {
    "type": ["object", "null"],
    "description": "either id, or msId with time; msId alone means the latest state that can be reached",
    "properties": {
      "id": {"type": ["string", "null"], "format": "uuid", "description": "a backup"},
      "msId": {"type": ["string", "null"], "format": "uuid", "description": "a managed service"},
      "time": {"type": ["string", "null"], "format": "date-time"},
      "config": {"type": ["object", "null"]},
      "secrets": {"$ref": "#/components/schemas/SecretValues"},
      "keepLogins": {"type": ["boolean", "null"], "description": "other roles than the application's keep their LOGIN"}
    }
  },
  "CreateTeam": {
    "type": "object",
    "required": ["name"],
    "properties": {
      "name": {"type": "string"},
      "slug": {"type": ["string", "null"]}
    }
  },
  "ProviderBody": {"type": "object"}
})json";

constexpr std::string_view kAnswers = R"json({
  "ManagedService": {
    "type": "object",
    "required": ["id", "provider", "name", "backups", "pause", "plan", "createdAt", "config", "status"],
    "properties": {
      "id": {"type": "string", "format": "uuid"},
      "provider": {
        "type": "object",
        "required": ["name", "version", "schemaVersion"],
        "properties": {
          "name": {"type": "string", "pattern": "^[-a-z0-9_]+$"},
          "version": {"type": "string"},
          "schemaVersion": {"type": "string"}
        }
      },
      "name": {"type": "string", "pattern": "^(?!\\s)[a-zA-Z0-9\\-_\\s]{0,126}[a-zA-Z0-9\\-_]$"},
      "backups": {"$ref": "#/components/schemas/Backups"},
      "pause": {"type": "boolean"},
      "deletionProtection": {"type": "boolean", "description": "a deletion is refused until this is taken back"},
      "labels": {"$ref": "#/components/schemas/Labels"},
      "candidateOf": {"type": "string", "format": "uuid", "description": "whose past state it holds, ready to take its place"},
      "plan": {
        "type": "object",
        "required": ["id", "parameters"],
        "properties": {
          "id": {"type": "integer", "minimum": 0},
          "parameters": {"type": "object", "additionalProperties": {"type": "integer"}}
        }
      },
      "createdAt": {"type": "string", "format": "date-time"},
      "config": {"type": "object", "additionalProperties": true},
      "recentEvents": {"type": "array", "items": {"$ref": "#/components/schemas/LogRecord"}},
      "status": {"$ref": "#/components/schemas/ServiceStatus"},
      "version": {"type": "string"},
      "operationId": {"type": "string", "format": "uuid", "description": "the operation that works on the service"}
    }
  },
  "Backups": {
    "oneOf": [
      {
        "type": "object",
        "required": ["enabled", "deleteRetentionDays", "intervalH", "entries", "config"],
        "properties": {
          "enabled": {"type": "boolean", "const": true},
          "deleteRetentionDays": {"type": "integer", "minimum": 1, "maximum": 365},
          "intervalH": {"type": "integer", "minimum": 1, "maximum": 730},
          "entries": {"type": "array", "items": {"$ref": "#/components/schemas/BackupEntry"}},
          "config": {"type": "object", "additionalProperties": true}
        }
      },
      {
        "type": "object",
        "required": ["enabled", "entries"],
        "properties": {
          "enabled": {"type": "boolean", "const": false},
          "entries": {"type": "array", "items": {"$ref": "#/components/schemas/BackupEntry"}}
        }
      }
    ]
  },
  "BackupEntry": {
    "type": "object",
    "required": ["id", "scheduledAt"],
    "properties": {
      "id": {"type": "string", "format": "uuid"},
      "scheduledAt": {"type": "string", "format": "date-time"},
      "initiatedAt": {"type": "string", "format": "date-time"},
      "confirmedAt": {"type": "string", "format": "date-time"}
    }
  },
  "ServiceStatus": {
    "type": "object",
    "required": ["state"],
    "properties": {
      "state": {"type": "string", "enum": ["creating", "updating", "deleted", "deleting", "pausing", "unpausing", "paused",
        "synchronized", "unknown", "invalid provider"]},
      "detailsRef": {"type": "string", "description": "where the details are, once the state is synchronized"},
      "deletedAt": {"type": "string", "format": "date-time"},
      "reason": {"type": "string", "description": "what is wrong, in words"},
      "nextStep": {"type": "string", "description": "what to do about it"}
    },
    "allOf": [
      {"if": {"properties": {"state": {"const": "synchronized"}}}, "then": {"required": ["detailsRef"]}},
      {"if": {"properties": {"state": {"enum": ["deleting", "deleted"]}}}, "then": {"required": ["deletedAt"]}}
    ]
  },
  "LogRecord": {
    "type": "object",
    "required": ["eventName", "timestamp", "observedTimestamp", "severityNumber", "body", "resource", "attributes"],
    "properties": {
      "eventName": {"type": "string"},
      "timestamp": {"type": "string", "format": "date-time"},
      "observedTimestamp": {"type": "string", "format": "date-time"},
      "severityNumber": {"type": "integer", "minimum": 0, "maximum": 24},
      "body": {"type": "string"},
      "resource": {"type": "string"},
      "attributes": {"type": "object", "additionalProperties": {"type": "string"}}
    }
  },
  "ManagedServiceDetails": {
    "type": "object",
    "description": "the provider's details at the top level, and the resource's fields where they do not collide",
    "additionalProperties": true
  },
  "Details": {"type": "object", "description": "as the provider's detailsSchema says", "additionalProperties": true},
  "Provider": {
    "type": "object",
    "required": ["name", "version", "schemaVersion", "author", "category", "description", "displayName", "iconUrl",
      "configSchema", "detailsSchema", "secretsSchema", "plans", "backend"],
    "properties": {
      "name": {"type": "string", "pattern": "^[-a-z0-9_]+$"},
      "version": {"type": "string"},
      "schemaVersion": {"type": "string"},
      "author": {"type": "string"},
      "category": {"type": "string"},
      "description": {"type": "string"},
      "displayName": {"type": "string"},
      "iconUrl": {"type": "string"},
      "configSchema": {"type": "object", "additionalProperties": true},
      "detailsSchema": {"type": "object", "additionalProperties": true},
      "secretsSchema": {"type": "object", "additionalProperties": true},
      "plans": {"type": "array", "items": {"$ref": "#/components/schemas/ProviderPlan"}},
      "backend": {"$ref": "#/components/schemas/ProviderBackend"},
      "scope": {"type": "string", "enum": ["global", "team"]},
      "teamIds": {"type": "array", "items": {"type": "integer"}, "description": "of a team's scope, as far as the token sees"},
      "backups": {
        "type": "object",
        "required": ["configSchema", "secretsSchema"],
        "properties": {
          "configSchema": {"type": "object", "additionalProperties": true},
          "secretsSchema": {"type": "object", "additionalProperties": true}
        }
      },
      "capabilities": {
        "type": "object",
        "properties": {
          "pause": {"type": "boolean"},
          "backups": {"type": "boolean"},
          "pointInTimeRecovery": {"type": "boolean"}
        }
      },
      "versions": {"type": "object", "additionalProperties": true},
      "createdAt": {"type": "string", "format": "date-time"}
    }
  },
  "ProviderPlan": {
    "type": "object",
    "required": ["id", "name", "description", "parameters"],
    "properties": {
      "id": {"type": "integer", "minimum": 0},
      "name": {"type": "string"},
      "description": {"type": "string"},
      "parameters": {
        "type": "object",
        "additionalProperties": {
          "type": "object",
          "required": ["schema"],
          "properties": {
            "pricedAs": {"type": "string",
              "enum": ["cpu-tenths", "free", "network-bandwidth-mbps", "ram-mib", "replicas", "storage-mib"]},
            "schema": {"type": "object", "additionalProperties": true}
          }
        }
      }
    }
  },
  "ProviderBackend": {
    "oneOf": [
      {
        "type": "object",
        "required": ["api"],
        "properties": {
          "api": {"type": "object", "required": ["endpoint"], "properties": {"endpoint": {"type": "string"}}}
        }
      },
      {
        "type": "object",
        "required": ["landscape"],
        "properties": {
          "landscape": {
            "type": "object",
            "required": ["gitUrl"],
            "properties": {"gitUrl": {"type": "string"}, "ciProfile": {"type": "string"}}
          }
        }
      }
    ]
  },
  "Team": {
    "type": "object",
    "required": ["id", "name", "defaultDataCenterId"],
    "properties": {
      "id": {"type": "integer", "minimum": 0},
      "name": {"type": "string"},
      "slug": {"type": "string"},
      "defaultDataCenterId": {"type": "integer"},
      "createdAt": {"type": "string", "format": "date-time"},
      "recoveryKit": {
        "type": "object",
        "required": ["exists"],
        "properties": {"exists": {"type": "boolean"}, "fetchedAt": {"type": "string", "format": "date-time"}}
      },
      "role": {"type": "integer", "enum": [0, 1], "description": "0 administrator, 1 member; in the list only"}
    }
  }
})json";

}  // namespace

core::json::object contract_schemas() {
  auto schemas = core::parse_json(kRequests).as_object();
  const auto answers = core::parse_json(kAnswers).as_object();
  for (const auto& [name, schema] : answers) schemas[name] = schema;
  return schemas;
}

}  // namespace backstay::api::house
