#include "api/house/schemas.h"

namespace backstay::api::house {
namespace {

constexpr std::string_view kSchemas = R"json({
  "RegisterAccount": {
    "type": "object",
    "required": ["email", "password"],
    "additionalProperties": false,
    "properties": {
      "email": {"type": "string", "maxLength": 254},
      "password": {"type": "string", "description": "8 to 1000 bytes"},
      "firstName": {"type": ["string", "null"]},
      "lastName": {"type": ["string", "null"]}
    }
  },
  "CreateAccount": {
    "type": "object",
    "required": ["email", "password", "role"],
    "additionalProperties": false,
    "properties": {
      "email": {"type": "string", "maxLength": 254},
      "password": {"type": "string", "description": "8 to 1000 bytes"},
      "firstName": {"type": ["string", "null"]},
      "lastName": {"type": ["string", "null"]},
      "role": {"$ref": "#/components/schemas/AccountRole"},
      "teamIds": {"type": ["array", "null"], "items": {"type": "integer"}, "description": "of a user or a viewer"}
    }
  },
  "UpdateAccount": {
    "type": "object",
    "additionalProperties": false,
    "properties": {
      "firstName": {"type": ["string", "null"]},
      "lastName": {"type": ["string", "null"]},
      "role": {"$ref": "#/components/schemas/AccountRole"},
      "teamIds": {"type": ["array", "null"], "items": {"type": "integer"}},
      "password": {"type": ["string", "null"]}
    }
  },
  "UpdateOwnAccount": {
    "type": "object",
    "additionalProperties": false,
    "properties": {
      "firstName": {"type": ["string", "null"]},
      "lastName": {"type": ["string", "null"]}
    }
  },
  "ChangePassword": {
    "type": "object",
    "required": ["currentPassword", "newPassword"],
    "additionalProperties": false,
    "properties": {
      "currentPassword": {"type": "string"},
      "newPassword": {"type": "string"}
    }
  },
  "Login": {
    "type": "object",
    "required": ["email", "password"],
    "additionalProperties": false,
    "properties": {
      "email": {"type": "string"},
      "password": {"type": "string"}
    }
  },
  "AccountRole": {
    "type": "string",
    "enum": ["superadmin", "admin", "user", "viewer"],
    "description": "superadmin, admin: everything; user: all there is to do in the account's teams; viewer: reads them"
  },
  "Account": {
    "type": "object",
    "required": ["id", "email", "firstName", "lastName", "role", "teamIds", "createdAt", "updatedAt"],
    "properties": {
      "id": {"type": "string", "format": "uuid"},
      "email": {"type": "string"},
      "firstName": {"type": "string"},
      "lastName": {"type": "string"},
      "role": {"$ref": "#/components/schemas/AccountRole"},
      "teamIds": {"type": "array", "items": {"type": "integer"}},
      "createdAt": {"type": "string", "format": "date-time"},
      "updatedAt": {"type": "string", "format": "date-time"},
      "lastLoginAt": {"type": "string", "format": "date-time"}
    }
  },
  "Session": {
    "type": "object",
    "required": ["token", "expiresAt", "account"],
    "properties": {
      "token": {"type": "string", "description": "for the Authorization header; shown in this one answer"},
      "expiresAt": {"type": "string", "format": "date-time"},
      "account": {"$ref": "#/components/schemas/Account"}
    }
  },
  "SetupStatus": {
    "type": "object",
    "required": ["isSetUp"],
    "properties": {"isSetUp": {"type": "boolean", "description": "whether there is an account"}}
  }
})json";

}  // namespace

core::json::object account_schemas() { return core::parse_json(kSchemas).as_object(); }

}  // namespace backstay::api::house
