#include "api/house/schemas.h"

namespace backstay::api::house {
namespace {

constexpr std::string_view kSchemas = R"json({
  "CreateSchedule": {
    "type": "object",
    "required": ["serviceId"],
    "additionalProperties": false,
    "description": "either cron or intervalH",
    "properties": {
      "serviceId": {"type": "string"},
      "name": {"type": ["string", "null"], "description": "absent: its time in words"},
      "destinationId": {"type": ["string", "null"], "description": "absent: where the service's backups go"},
      "cron": {"type": ["string", "null"], "description": "minute, hour, day of month, month, day of week; or @hourly, @daily, @weekly, @monthly, @yearly"},
      "timeZone": {"type": ["string", "null"], "description": "of the IANA database, for cron; UTC if absent"},
      "intervalH": {"type": ["integer", "null"], "description": "hours between two runs, counted from now"},
      "retentionCount": {"type": ["integer", "null"], "description": "keep so many of the newest confirmed ones"},
      "retentionDays": {"type": ["integer", "null"], "description": "keep each for so many days"},
      "mechanism": {"type": ["string", "null"], "enum": ["physical", "logical", null]},
      "enabled": {"type": ["boolean", "null"]},
      "turnBackupsOn": {"type": ["boolean", "null"], "description": "true: where backups of the service are off, they are turned on with it, to destinationId or the default destination"}
    }
  },
  "UpdateSchedule": {
    "type": "object",
    "additionalProperties": false,
    "description": "what is absent stays; cron takes the place of intervalH, and the other way round",
    "properties": {
      "name": {"type": "string"},
      "destinationId": {"type": ["string", "null"], "description": "null: where the service's backups go"},
      "cron": {"type": "string"},
      "timeZone": {"type": "string"},
      "intervalH": {"type": "integer"},
      "retentionCount": {"type": ["integer", "null"], "description": "null: no such limit"},
      "retentionDays": {"type": ["integer", "null"], "description": "null: no such limit"},
      "mechanism": {"type": "string", "enum": ["physical", "logical"]},
      "enabled": {"type": "boolean"}
    }
  },
  "Schedule": {
    "type": "object",
    "required": ["id", "teamId", "serviceId", "name", "mechanism", "enabled", "createdAt", "updatedAt", "nextRuns"],
    "properties": {
      "id": {"type": "string", "format": "uuid"},
      "teamId": {"type": "integer"},
      "serviceId": {"type": "string", "format": "uuid"},
      "name": {"type": "string"},
      "destinationId": {"type": "string", "format": "uuid", "description": "absent: where the service's backups go"},
      "cron": {"type": "string"},
      "timeZone": {"type": "string", "description": "of cron"},
      "intervalH": {"type": "integer"},
      "retentionCount": {"type": "integer"},
      "retentionDays": {"type": "integer"},
      "mechanism": {"type": "string", "enum": ["physical", "logical"]},
      "enabled": {"type": "boolean"},
      "createdAt": {"type": "string", "format": "date-time"},
      "updatedAt": {"type": "string", "format": "date-time"},
      "nextRuns": {
        "type": "array",
        "items": {"type": "string", "format": "date-time"},
        "description": "the next five; a first one in the past is due now"
      },
      "waitsFor": {"type": "string", "description": "why nothing runs although it is enabled"},
      "lastRun": {
        "type": "object",
        "required": ["time", "backupId", "outcome"],
        "properties": {
          "time": {"type": "string", "format": "date-time"},
          "backupId": {"type": "string", "format": "uuid", "description": "which may have been removed since"},
          "outcome": {"type": "string", "enum": ["running", "completed", "failed"]}
        }
      }
    }
  }
})json";

}  // namespace

core::json::object schedule_schemas() { return core::parse_json(kSchemas).as_object(); }

}  // namespace backstay::api::house
