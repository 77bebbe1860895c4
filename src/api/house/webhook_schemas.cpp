#include "api/house/schemas.h"

namespace backstay::api::house {
namespace {

constexpr std::string_view kSchemas = R"json({
  "CreateWebhook": {
    "type": "object",
    "required": ["teamId", "name", "url"],
    "additionalProperties": false,
    "properties": {
      "teamId": {"type": "integer", "minimum": 0, "description": "0: of the operator, told of every team's events"},
      "name": {"type": "string"},
      "url": {"type": "string", "description": "http or https"},
      "events": {"$ref": "#/components/schemas/EventNames"}
    }
  },
  "UpdateWebhook": {
    "type": "object",
    "additionalProperties": false,
    "properties": {
      "name": {"type": "string"},
      "url": {"type": "string"},
      "events": {"$ref": "#/components/schemas/EventNames"},
      "enabled": {"type": "boolean"}
    }
  },
  "EventNames": {
    "type": "array",
    "maxItems": 100,
    "items": {"type": "string", "minLength": 1, "maxLength": 100},
    "description": "names of the event catalogue, or 'backup.*' for all that begin so; empty: all"
  },
  "Webhook": {
    "type": "object",
    "required": ["id", "teamId", "name", "url", "events", "enabled", "createdAt"],
    "properties": {
      "id": {"type": "string", "format": "uuid"},
      "teamId": {"type": "integer"},
      "name": {"type": "string"},
      "url": {"type": "string"},
      "events": {"$ref": "#/components/schemas/EventNames"},
      "enabled": {"type": "boolean"},
      "disabledReason": {"type": "string", "description": "why it was disabled by itself"},
      "failingSince": {"type": "string", "format": "date-time", "description": "absent while messages are taken"},
      "createdAt": {"type": "string", "format": "date-time"},
      "secret": {"type": "string", "pattern": "^whsec_", "description": "in the answer of its creation only"}
    }
  },
  "WebhookDelivery": {
    "type": "object",
    "required": ["id", "webhookId", "eventName", "state", "attempts", "createdAt"],
    "properties": {
      "id": {"type": "string", "format": "uuid", "description": "the webhook-id of the message, in every attempt"},
      "webhookId": {"type": "string", "format": "uuid"},
      "eventId": {"type": "string", "format": "uuid", "description": "absent for a test"},
      "eventName": {"type": "string"},
      "state": {"type": "string", "enum": ["pending", "delivered", "failed"]},
      "attempts": {"type": "integer", "minimum": 0},
      "createdAt": {"type": "string", "format": "date-time"},
      "nextAttemptAt": {"type": "string", "format": "date-time", "description": "while pending"},
      "finishedAt": {"type": "string", "format": "date-time"},
      "lastStatus": {"type": "integer", "description": "what the receiver answered last"},
      "lastError": {"type": "string"}
    }
  }
})json";

}  // namespace

core::json::object webhook_schemas() { return core::parse_json(kSchemas).as_object(); }

}  // namespace backstay::api::house
