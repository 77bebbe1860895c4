#include "api/house/schemas.h"

namespace backstay::api::house {
namespace {

constexpr std::string_view kRequests = R"json({
  "CreateToken": {
    "type": "object",
    "required": ["name"],
    "additionalProperties": false,
    "properties": {
      "name": {"type": "string"},
      "scopes": {"type": ["array", "null"], "items": {"type": "string", "enum": ["read", "write", "change", "delete", "recover-in-place", "admin", "metrics",
        "services:read", "services:write", "services:delete", "backups:read", "backups:write", "backups:recover", "backups:delete"]}},
      "role": {"type": ["string", "null"], "enum": ["viewer", "operator", "admin", null],
        "description": "viewer: read; operator: read and change; admin: everything; scopes are given besides"},
      "allTeams": {"type": ["boolean", "null"]},
      "teamIds": {"type": ["array", "null"], "items": {"type": "integer"}},
      "expiresAt": {"type": ["string", "null"], "format": "date-time"}
    }
  },
  "ChangeBackup": {
    "type": "object",
    "additionalProperties": false,
    "properties": {
      "pinned": {"type": ["boolean", "null"], "description": "true: retention never removes it"},
      "expiresAt": {"type": ["string", "null"], "format": "date-time",
                    "description": "kept until then instead of for the retention; null: no expiry of its own"},
      "label": {"type": ["string", "null"], "maxLength": 200},
      "labels": {"$ref": "#/components/schemas/LabelChanges"}
    }
  },
  "LoseDestination": {
    "type": "object",
    "required": ["name"],
    "additionalProperties": false,
    "properties": {"name": {"type": "string", "description": "the destination's name, to make sure that it is the right one"}}
  },
  "CreateDestination": {
    "type": "object",
    "required": ["teamId", "name", "config"],
    "additionalProperties": false,
    "properties": {
      "teamId": {"type": "integer", "minimum": 0, "description": "0: of the operator, for every team"},
      "name": {"type": "string"},
      "config": {"$ref": "#/components/schemas/DestinationConfig"},
      "secrets": {"$ref": "#/components/schemas/SecretValues"},
      "isDefault": {"type": ["boolean", "null"]}
    }
  },
  "UpdateDestination": {
    "type": "object",
    "description": "what is absent stays; config and secrets are merged key by key, a null in config removes the key",
    "additionalProperties": false,
    "properties": {
      "name": {"type": ["string", "null"]},
      "config": {"oneOf": [{"$ref": "#/components/schemas/DestinationConfig"}, {"type": "null"}]},
      "secrets": {"$ref": "#/components/schemas/SecretValues"},
      "isDefault": {"type": ["boolean", "null"]}
    }
  },
  "DestinationConfig": {
    "type": "object",
    "properties": {
      "destinationPath": {"type": ["string", "null"], "description": "s3://bucket/prefix or file:///directory"},
      "endpointUrl": {"type": ["string", "null"], "description": "made from the provider where that says it"},
      "region": {"type": ["string", "null"]},
      "pathStyle": {"type": ["boolean", "null"]},
      "provider": {"type": ["string", "null"], "description": "s3, r2, backblaze, minio or custom"},
      "accountId": {"type": ["string", "null"], "description": "of r2"},
      "jurisdiction": {"type": ["string", "null"], "description": "of r2: eu, fedramp or default"},
      "accessKey": {"type": ["string", "null"], "description": "here or in the secrets"},
      "accessKeyId": {"type": ["string", "null"], "description": "the same"}
    }
  }
})json";

constexpr std::string_view kAnswers = R"json({
  "Error": {
    "type": "object",
    "required": ["status", "title", "detail", "traceId", "code"],
    "properties": {
      "status": {"type": "integer", "minimum": 400, "maximum": 599},
      "title": {"type": "string"},
      "detail": {"type": "string"},
      "traceId": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
      "code": {"type": "string", "pattern": "^[a-z_]+$", "description": "a word of the error catalogue"},
      "errors": {
        "type": "array",
        "minItems": 1,
        "items": {
          "type": "object",
          "required": ["pointer", "message"],
          "properties": {
            "pointer": {"type": "string", "description": "a JSON Pointer into the body, or ?name of the query"},
            "message": {"type": "string"}
          }
        }
      },
      "hint": {"type": "string"}
    }
  },
  "Empty": {"type": "object", "maxProperties": 0},
  "Preview": {
    "type": "object",
    "required": ["dryRun", "effects", "restarts"],
    "properties": {
      "dryRun": {"type": "boolean", "const": true},
      "effects": {"type": "array", "minItems": 1, "items": {"type": "string"}, "description": "in words, in their order"},
      "restarts": {"type": "boolean", "description": "the server of the service is away for a moment"}
    }
  },
  "Health": {"type": "object", "required": ["status"], "properties": {"status": {"type": "string", "const": "healthy"}}},
  "Readiness": {"type": "object", "required": ["status"], "properties": {"status": {"type": "string", "const": "ready"}}},
  "Document": {
    "type": "object",
    "required": ["openapi", "info", "paths", "components"],
    "additionalProperties": true
  },
  "TakeBackup": {
    "type": "object",
    "properties": {
      "mechanism": {"type": ["string", "null"], "enum": ["physical", "logical", null], "default": "physical"},
      "destinationId": {"type": ["string", "null"], "format": "uuid",
                        "description": "where it goes; without one where the service's backups go, else the default"},
      "label": {"type": ["string", "null"], "maxLength": 200},
      "labels": {"$ref": "#/components/schemas/LabelChoice"},
      "expiresAt": {"type": ["string", "null"], "format": "date-time",
                    "description": "kept until then instead of for the retention"},
      "temporaryDays": {"type": ["integer", "null"],
                        "description": "kept for so many days, at most those that the operator allows (14); excludes expiresAt and pinned"},
      "pinned": {"type": ["boolean", "null"], "description": "true: it stays until it is unpinned and deleted"},
      "full": {"type": ["boolean", "null"],
               "description": "true: a physical one reads and stores all of the data anew, instead of what has changed since an earlier backup"},
      "turnBackupsOn": {"type": ["boolean", "null"],
                        "description": "true: where backups of the service are off, they are turned on with this one, to destinationId or the default destination"}
    }
  },
  "Backup": {
    "type": "object",
    "required": ["id", "scheduledAt", "serviceId", "teamId", "mechanism", "origin", "state", "dataBytes", "storedBytes", "pinned"],
    "properties": {
      "id": {"type": "string", "format": "uuid"},
      "serviceId": {"type": "string", "format": "uuid"},
      "teamId": {"type": "integer"},
      "instanceId": {"type": "string", "format": "uuid"},
      "destinationId": {"type": "string", "format": "uuid"},
      "standsAlone": {"type": "boolean", "description": "sent elsewhere than the service's WAL: only its own state can be reached from it"},
      "mechanism": {"type": "string", "enum": ["physical", "logical"]},
      "origin": {"type": "string", "enum": ["scheduled", "manual", "final", "safety"]},
      "state": {"type": "string", "enum": ["scheduled", "running", "completed", "failed", "deleting", "deleted", "lost"]},
      "scheduledAt": {"type": "string", "format": "date-time"},
      "initiatedAt": {"type": "string", "format": "date-time"},
      "takenAt": {"type": "string", "format": "date-time"},
      "storedAt": {"type": "string", "format": "date-time"},
      "confirmedAt": {"type": "string", "format": "date-time", "description": "all of it was read back and checked"},
      "verifiedAt": {"type": "string", "format": "date-time", "description": "a restore of it was last seen to work"},
      "verification": {"$ref": "#/components/schemas/Verification"},
      "dataBytes": {"type": "integer", "minimum": 0},
      "storedBytes": {"type": "integer", "minimum": 0, "description": "what was added to the store for it"},
      "incremental": {"type": "boolean", "description": "true: what has not changed since its base stands in the store once, for both; absent until it is stored"},
      "baseId": {"type": "string", "format": "uuid", "description": "the earlier backup that it takes unchanged pages from; it may be deleted, and nothing is lost"},
      "readBytes": {"type": "integer", "minimum": 0, "description": "how much of the data was read to take it"},
      "fullReason": {"type": "string", "description": "why it takes nothing from an earlier backup"},
      "timeline": {"type": "integer"},
      "startLsn": {"$ref": "#/components/schemas/Lsn"},
      "stopLsn": {"$ref": "#/components/schemas/Lsn"},
      "durationSeconds": {"type": "number", "minimum": 0, "description": "from its begin until it was stored"},
      "pinned": {"type": "boolean", "description": "retention never removes it"},
      "expiresAt": {"type": "string", "format": "date-time", "description": "kept until then instead of for the retention"},
      "label": {"type": "string"},
      "labels": {"$ref": "#/components/schemas/Labels"},
      "number": {"type": "integer", "minimum": 1, "description": "counts through all backups"},
      "scheduleId": {"type": "string", "format": "uuid", "description": "the schedule that it was taken for"},
      "removalReason": {"type": "string", "description": "why it is being deleted"},
      "error": {"type": "string"},
      "nextStep": {"type": "string"}
    }
  },
  "Verification": {
    "type": "object",
    "description": "the last attempt to see a restore of the backup work",
    "required": ["outcome", "at"],
    "properties": {
      "outcome": {"type": "string", "enum": ["verified", "failed", "notRun"],
                  "description": "failed: what was restored does not work or is damaged, and the backup counts as good no more; notRun: it could not be tried, which says nothing of the backup"},
      "at": {"type": "string", "format": "date-time"},
      "notRunAt": {"type": "string", "format": "date-time", "description": "another one could not be tried since; what was known holds"},
      "timeToFirstQuerySeconds": {"type": "number", "minimum": 0, "description": "from nothing to the first answer of the restored server"},
      "recoveryTimeSeconds": {"type": "number", "minimum": 0, "description": "from nothing to a server that serves, as a recovery would take"},
      "problem": {"type": "string"},
      "nextStep": {"type": "string"},
      "checks": {
        "type": "object",
        "description": "what was looked at",
        "properties": {
          "databases": {"type": "integer", "minimum": 0},
          "relations": {"type": "integer", "minimum": 0},
          "tables": {"type": "integer", "minimum": 0, "description": "by amcheck"},
          "indexes": {"type": "integer", "minimum": 0, "description": "by amcheck"},
          "pages": {"type": "integer", "minimum": 0, "description": "by their checksums"},
          "rowsExpected": {"type": "integer", "minimum": 0, "description": "of larger tables, by the source's statistics"},
          "rowsEstimated": {"type": "integer", "minimum": 0, "description": "of the same tables, by a sample of the copy"},
          "notes": {"type": "array", "items": {"type": "string"}},
          "problems": {"type": "array", "items": {"type": "string"}}
        }
      }
    }
  },
  "Lsn": {"type": "string", "pattern": "^[0-9A-F]{1,8}/[0-9A-F]{1,8}$"},
  "RecoveryGap": {
    "type": "object",
    "required": ["from", "to", "reason"],
    "properties": {
      "from": {"type": "string", "format": "date-time"},
      "to": {"type": "string", "format": "date-time"},
      "reason": {"type": "string"}
    }
  },
  "RecoveryWindow": {
    "type": "object",
    "required": ["serviceId", "gaps", "windows"],
    "description": "what every instance that the service has pointed to reaches together, and each by itself",
    "properties": {
      "serviceId": {"type": "string", "format": "uuid"},
      "earliest": {"type": "string", "format": "date-time"},
      "latest": {"type": "string", "format": "date-time"},
      "gaps": {"type": "array", "items": {"$ref": "#/components/schemas/RecoveryGap"}},
      "windows": {
        "type": "array",
        "items": {
          "type": "object",
          "required": ["gaps"],
          "properties": {
            "instanceId": {"type": "string", "format": "uuid"},
            "destinationId": {"type": "string", "format": "uuid"},
            "earliest": {"type": "string", "format": "date-time"},
            "latest": {"type": "string", "format": "date-time"},
            "gaps": {"type": "array", "items": {"$ref": "#/components/schemas/RecoveryGap"}},
            "problem": {"type": "string", "description": "why nothing is known of it now"}
          }
        }
      },
      "atRisk": {
        "type": "object",
        "required": ["bytes", "seconds", "storeReachable"],
        "description": "what would be lost if the machine were lost now",
        "properties": {
          "bytes": {"type": "integer", "minimum": 0},
          "seconds": {"type": "number", "minimum": 0},
          "storeReachable": {"type": "boolean"},
          "lastError": {"type": "string"}
        }
      },
      "lastVerified": {
        "type": "object",
        "required": ["backupId", "at"],
        "description": "the restore that was last seen to work; absent before the first",
        "properties": {
          "backupId": {"type": "string", "format": "uuid"},
          "at": {"type": "string", "format": "date-time"},
          "timeToFirstQuerySeconds": {"type": "number", "minimum": 0},
          "recoveryTimeSeconds": {"type": "number", "minimum": 0}
        }
      },
      "chain": {
        "type": "object",
        "required": ["intact", "problems"],
        "description": "what looks at the archive and at the server's replication slot found; absent while nobody looks",
        "properties": {
          "intact": {"type": "boolean", "description": "all was looked at, and nothing is wrong"},
          "checkedAt": {"type": "string", "format": "date-time", "description": "when all of the archive was looked at last; absent before the first time"},
          "storeClockOffsetSeconds": {"type": "number", "description": "the store's clock minus this machine's"},
          "problems": {
            "type": "array",
            "items": {
              "type": "object",
              "required": ["fault", "reason", "since", "needsBackup"],
              "properties": {
                "fault": {
                  "type": "string",
                  "enum": ["gap", "slotStalled", "timelineDiverged", "objectMissing", "clockDrift"]
                },
                "reason": {"type": "string"},
                "since": {"type": "string", "format": "date-time"},
                "needsBackup": {"type": "boolean", "description": "a new backup mends it, and one is taken"}
              }
            }
          }
        }
      }
    }
  },
  "Event": {
    "type": "object",
    "required": ["id", "sequence", "teamId", "eventName", "timestamp", "observedTimestamp", "severityNumber", "body",
      "resource", "attributes"],
    "properties": {
      "id": {"type": "string", "format": "uuid"},
      "sequence": {"type": "integer", "minimum": 1},
      "teamId": {"type": "integer"},
      "serviceId": {"type": "string", "format": "uuid"},
      "eventName": {"type": "string"},
      "timestamp": {"type": "string", "format": "date-time"},
      "observedTimestamp": {"type": "string", "format": "date-time"},
      "severityNumber": {"type": "integer", "minimum": 0, "maximum": 24},
      "body": {"type": "string"},
      "resource": {"type": "string"},
      "attributes": {"type": "object", "additionalProperties": {"type": "string"}}
    }
  },
  "AuditEntry": {
    "type": "object",
    "required": ["id", "sequence", "at", "method", "operation", "path", "parameters", "status", "traceId", "client"],
    "properties": {
      "id": {"type": "string", "format": "uuid"},
      "sequence": {"type": "integer", "minimum": 1},
      "at": {"type": "string", "format": "date-time"},
      "token": {
        "type": "object",
        "description": "who; absent if the token is unknown",
        "required": ["id", "name", "allTeams", "teamIds"],
        "properties": {
          "id": {"type": "string"},
          "name": {"type": "string"},
          "allTeams": {"type": "boolean"},
          "teamIds": {"type": "array", "items": {"type": "integer"}}
        }
      },
      "method": {"type": "string"},
      "operation": {"type": "string"},
      "path": {"type": "string", "description": "with the names of its parameters"},
      "objectId": {"type": "string", "description": "what it is about, or what it made"},
      "parameters": {"type": "object", "additionalProperties": {"type": "string"}},
      "status": {"type": "integer"},
      "code": {"type": "string", "description": "of the error catalogue; absent for a success"},
      "traceId": {"type": "string"},
      "requestId": {"type": "string", "description": "X-Request-Id of the request, if it had one"},
      "client": {"type": "string", "description": "the address that it came from"}
    }
  },
  "Operation": {
    "type": "object",
    "required": ["id", "kind", "teamId", "state", "step", "stepNumber", "steps", "attempts", "cancelRequested", "createdAt"],
    "properties": {
      "id": {"type": "string", "format": "uuid"},
      "kind": {"type": "string"},
      "serviceId": {"type": "string", "format": "uuid"},
      "teamId": {"type": "integer"},
      "state": {"type": "string", "enum": ["queued", "running", "succeeded", "failed", "cancelled"]},
      "step": {"type": "string"},
      "stepNumber": {"type": "integer"},
      "steps": {"type": "integer"},
      "progress": {"type": "object", "additionalProperties": true},
      "attempts": {"type": "integer", "minimum": 0},
      "cancelRequested": {"type": "boolean"},
      "createdAt": {"type": "string", "format": "date-time"},
      "startedAt": {"type": "string", "format": "date-time"},
      "finishedAt": {"type": "string", "format": "date-time"},
      "result": {"type": "object", "additionalProperties": true},
      "error": {"type": "object", "additionalProperties": true}
    }
  },
  "OperationStream": {"type": "string", "description": "server-sent events: the operation as data: at each change"},
  "MetricsText": {"type": "string", "description": "the text format of Prometheus"},
  "RecoveryKit": {
    "type": "object",
    "required": ["teamId", "text"],
    "properties": {"teamId": {"type": "integer"}, "text": {"type": "string"}}
  },
  "Token": {
    "type": "object",
    "required": ["id", "name", "scopes", "permissions", "allTeams", "teamIds", "createdAt"],
    "properties": {
      "id": {"type": "string", "format": "uuid"},
      "name": {"type": "string"},
      "scopes": {"type": "array", "items": {"type": "string"}},
      "permissions": {"type": "array", "items": {"type": "string"}, "description": "all that its scopes come to"},
      "role": {"type": "string", "enum": ["viewer", "operator", "admin"], "description": "the greatest that it has"},
      "allTeams": {"type": "boolean"},
      "teamIds": {"type": "array", "items": {"type": "integer"}},
      "accountId": {"type": "string", "format": "uuid", "description": "whose it is; absent: an administrator made it"},
      "createdAt": {"type": "string", "format": "date-time"},
      "expiresAt": {"type": "string", "format": "date-time"},
      "lastUsedAt": {"type": "string", "format": "date-time"},
      "revokedAt": {"type": "string", "format": "date-time"},
      "token": {"type": "string", "description": "the token itself, in the answer of its creation only"}
    }
  },
  "Destination": {
    "type": "object",
    "required": ["id", "teamId", "name", "url", "isDefault", "probe", "createdAt"],
    "properties": {
      "id": {"type": "string", "format": "uuid"},
      "teamId": {"type": "integer"},
      "name": {"type": "string"},
      "url": {"type": "string"},
      "provider": {"type": "string", "description": "s3, r2, backblaze, minio or custom"},
      "accountId": {"type": "string"},
      "jurisdiction": {"type": "string"},
      "endpointUrl": {"type": "string"},
      "region": {"type": "string"},
      "pathStyle": {"type": "boolean"},
      "isDefault": {"type": "boolean"},
      "probe": {"type": "object", "additionalProperties": true},
      "probedAt": {"type": "string", "format": "date-time"},
      "lostAt": {"type": "string", "format": "date-time", "description": "when it was declared lost, with all that was stored there"},
      "createdAt": {"type": "string", "format": "date-time"},
      "checks": {
        "type": "array",
        "description": "in the answers of its creation and of changes of its place or its keys",
        "items": {
          "type": "object",
          "required": ["name", "essential", "passed", "message"],
          "properties": {
            "name": {"type": "string"},
            "essential": {"type": "boolean"},
            "passed": {"type": "boolean"},
            "message": {"type": "string"}
          }
        }
      }
    }
  }
})json";

}  // namespace

core::json::object own_schemas() {
  auto schemas = core::parse_json(kRequests).as_object();
  const auto answers = core::parse_json(kAnswers).as_object();
  for (const auto& [name, schema] : answers) schemas[name] = schema;
  return schemas;
}

core::json::object component_schemas() {
  auto schemas = contract_schemas();
  for (const auto& group : {own_schemas(), webhook_schemas(), schedule_schemas(), import_schemas(), account_schemas(),
                            recovery_schemas()}) {
    for (const auto& [name, schema] : group) schemas[name] = schema;
  }
  return schemas;
}

}  // namespace backstay::api::house
