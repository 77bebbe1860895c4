// The house API's own description: it is OpenAPI 3.1, it holds every route, and nothing else.
#include <set>

#include <gtest/gtest.h>

#include "api/house/routes.h"
#include "api/house/schemas.h"
#include "api/openapi.h"
#include "api/request_check.h"
#include "control/testing/control_world.h"
#include "control/testing/fake_notifier.h"
#include "control/verification_commands.h"
#include "core/text.h"
#include "model/json_schema.h"

namespace backstay::api::house {
namespace {

namespace json = core::json;

/// OpenAPI 3.1 as far as this document uses it. What is not named is refused, so that a slip of the pen is one.
constexpr std::string_view kMetaSchema = R"json({
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "required": ["openapi", "info", "paths"],
  "additionalProperties": false,
  "properties": {
    "openapi": {"type": "string", "pattern": "^3\\.1\\.\\d+$"},
    "info": {
      "type": "object", "required": ["title", "version"], "additionalProperties": false,
      "properties": {"title": {"type": "string"}, "version": {"type": "string"}, "description": {"type": "string"}}
    },
    "servers": {"$ref": "#/$defs/servers"},
    "tags": {
      "type": "array", "uniqueItems": true,
      "items": {"type": "object", "required": ["name"], "additionalProperties": false, "properties": {"name": {"type": "string"}}}
    },
    "paths": {
      "type": "object",
      "propertyNames": {"pattern": "^/"},
      "additionalProperties": {
        "type": "object", "additionalProperties": false, "minProperties": 1,
        "properties": {
          "servers": {"$ref": "#/$defs/servers"},
          "get": {"$ref": "#/$defs/operation"}, "put": {"$ref": "#/$defs/operation"},
          "post": {"$ref": "#/$defs/operation"}, "patch": {"$ref": "#/$defs/operation"},
          "delete": {"$ref": "#/$defs/operation"}
        }
      }
    },
    "components": {
      "type": "object", "additionalProperties": false,
      "properties": {
        "schemas": {
          "type": "object",
          "propertyNames": {"pattern": "^[a-zA-Z0-9._-]+$"},
          "additionalProperties": {"$ref": "#/$defs/schema"}
        },
        "securitySchemes": {
          "type": "object",
          "additionalProperties": {
            "type": "object", "required": ["type", "scheme"], "additionalProperties": false,
            "properties": {"type": {"const": "http"}, "scheme": {"const": "bearer"}, "description": {"type": "string"}}
          }
        }
      }
    }
  },
  "$defs": {
    "servers": {
      "type": "array", "minItems": 1,
      "items": {"type": "object", "required": ["url"], "additionalProperties": false, "properties": {"url": {"type": "string"}}}
    },
    "operation": {
      "type": "object", "required": ["operationId", "summary", "tags", "responses", "security"], "additionalProperties": false,
      "properties": {
        "operationId": {"type": "string", "pattern": "^[a-z]+(-[a-zA-Z]+)*$"},
        "summary": {"type": "string", "minLength": 1},
        "description": {"type": "string"},
        "tags": {"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 1}},
        "parameters": {"type": "array", "uniqueItems": true, "items": {"$ref": "#/$defs/parameter"}},
        "requestBody": {
          "type": "object", "required": ["content"], "additionalProperties": false,
          "properties": {"required": {"type": "boolean"}, "content": {"$ref": "#/$defs/content"}}
        },
        "responses": {
          "type": "object", "minProperties": 1, "additionalProperties": false, "required": ["default"],
          "patternProperties": {"^([1-5][0-9][0-9]|default)$": {"$ref": "#/$defs/response"}}
        },
        "security": {
          "type": "array",
          "items": {
            "type": "object", "additionalProperties": false,
            "properties": {"bearerAuth": {"type": "array", "items": {"enum": ["read", "change", "delete", "recover-in-place",
              "admin", "metrics", "services:read", "services:write", "services:delete", "backups:read", "backups:write",
              "backups:recover", "backups:delete"]}}}
          }
        }
      }
    },
    "parameter": {
      "type": "object", "required": ["name", "in", "schema"], "additionalProperties": false,
      "properties": {
        "name": {"type": "string"}, "in": {"enum": ["path", "query", "header"]}, "description": {"type": "string"},
        "required": {"type": "boolean"}, "schema": {"$ref": "#/$defs/schema"}
      },
      "if": {"properties": {"in": {"const": "path"}}},
      "then": {"required": ["required"], "properties": {"required": {"const": true}}}
    },
    "response": {
      "type": "object", "required": ["description"], "additionalProperties": false,
      "properties": {
        "description": {"type": "string", "minLength": 1},
        "headers": {
          "type": "object",
          "additionalProperties": {
            "type": "object", "required": ["schema"], "additionalProperties": false,
            "properties": {"description": {"type": "string"}, "schema": {"$ref": "#/$defs/schema"}}
          }
        },
        "content": {"$ref": "#/$defs/content"}
      }
    },
    "content": {
      "type": "object", "minProperties": 1,
      "additionalProperties": {
        "type": "object", "required": ["schema"], "additionalProperties": false,
        "properties": {"schema": {"$ref": "#/$defs/schema"}}
      }
    },
    "schema": {"type": ["object", "boolean"]}
  }
})json";

class DocumentTest : public testing::Test {
 protected:
  DocumentTest() {
    add_routes(routes_, {.commands = *world_.commands,
                         .providers = *world_.provider_commands,
                         .queries = *world_.queries,
                         .webhooks = webhooks_,
                         .schedules = *world_.schedule_commands,
                         .accounts = accounts_,
                         .feed = world_.feed,
                         .imports = imports_,
                         .authentication = authentication_,
                         .streams = streams_,
                         .clock = world_.clock,
                         .metrics = world_.metrics,
                         .verifications = verifications_,
                         .ready = [] { return true; },
                         .public_url = "https://backstay.example",
                         .version = "9.9.9"});
    document_ = core::parse_json(get("application/json").body).as_object();
  }

  http::Response get(const std::string& accept) {
    http::Request request;
    request.method = "GET";
    request.path = "/api/docs";
    request.headers.set("Accept", accept);
    return router_.handle(request);
  }

  /// Calls `each` with path item, method and operation.
  template <typename Each>
  void each_operation(Each each) const {
    for (const auto& [path, item] : document_.at("paths").as_object()) {
      for (const auto& [method, operation] : item.as_object()) {
        if (method != "servers") each(std::string(path), item.as_object(), std::string(method), operation.as_object());
      }
    }
  }

  control::testing::ControlWorld world_;
  Authentication authentication_{[](std::string_view) { return std::nullopt; }};
  control::testing::FakeNotifier notifier_;
  control::Accounts accounts_{{*world_.database, world_.clock, world_.random}, {}};
  control::WebhookCommands webhooks_{{*world_.database, notifier_, world_.clock, world_.random}};
  ImportRequests imports_{*world_.imports};
  control::VerificationCommands verifications_{{*world_.database, *world_.registry, *world_.queue}};
  EventStreams streams_{authentication_, world_.clock, 2};
  http::Router router_;
  RateLimiter limits_{{}, world_.clock};
  control::IdempotencyGate keys_{*world_.database, world_.clock, world_.random};
  control::AuditLog audit_{*world_.database};
  control::RefusalEvents refusals_{*world_.database, world_.clock, world_.random};
  RouteTable routes_ =
      make_route_table(router_, {authentication_, limits_, keys_, audit_, refusals_, world_.clock, world_.random});
  json::object document_;
};

TEST_F(DocumentTest, IsOpenApi31) {
  const auto meta = model::JsonSchema::compile(core::parse_json(kMetaSchema));
  for (const auto& violation : meta.validate(document_)) ADD_FAILURE() << violation.pointer << ' ' << violation.message;
  EXPECT_EQ(document_.at("info").at("version"), "9.9.9");
}

TEST_F(DocumentTest, HoldsEveryRouteAndNothingElse) {
  std::vector<std::string> described;
  each_operation([&](const auto& path, const auto& item, const auto& method, const auto& /*operation*/) {
    const auto* servers = item.if_contains("servers");
    for (const auto& server : (servers != nullptr ? *servers : document_.at("servers")).as_array()) {
      const std::string url(server.at("url").as_string());
      ASSERT_TRUE(url.starts_with("https://backstay.example")) << url;
      std::string upper = method;
      for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
      described.push_back(upper + " " + url.substr(std::string("https://backstay.example").size()) + path);
    }
  });
  std::sort(described.begin(), described.end());
  EXPECT_EQ(described, router_.routes());
}

TEST_F(DocumentTest, NamesEachOperationAndItsParameters) {
  std::set<std::string> names;
  each_operation([&](const auto& path, const auto& /*item*/, const auto& method, const auto& operation) {
    const std::string name(operation.at("operationId").as_string());
    EXPECT_TRUE(names.insert(name).second) << name << " is there twice";
    std::set<std::string> in_path;
    if (const auto* parameters = operation.if_contains("parameters")) {
      for (const auto& parameter : parameters->as_array()) {
        if (parameter.at("in") == "path") in_path.insert(std::string(parameter.at("name").as_string()));
      }
    }
    std::set<std::string> wanted;
    for (const auto& segment : core::split(path, '/')) {
      if (segment.starts_with('{')) wanted.insert(segment.substr(1, segment.size() - 2));
    }
    EXPECT_EQ(in_path, wanted) << method << ' ' << path;
  });
  for (const std::string name :
       {"managed-services-listProviders", "managed-services-createProvider", "managed-services-upsertProvider",
        "managed-services-updateProvider", "managed-services-deleteProvider", "managed-services-create",
        "managed-services-list", "managed-services-getDetails", "managed-services-update", "managed-services-delete",
        "managed-services-scheduleBackup"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
}

TEST_F(DocumentTest, HasOnlySchemasThatTheValidatorUnderstands) {
  const auto& components = document_.at("components").at("schemas").as_object();
  for (const auto& [name, schema] : components) {
    EXPECT_NO_THROW(model::JsonSchema::compile(with_components(schema.as_object(), components))) << name;
  }
}

TEST_F(DocumentTest, UsesEveryComponent) {
  const std::string text = core::to_text(document_);
  for (const auto& [name, schema] : document_.at("components").at("schemas").as_object()) {
    EXPECT_NE(text.find("\"#/components/schemas/" + std::string(name) + "\""), std::string::npos) << name;
  }
}

TEST_F(DocumentTest, IsAPageForPeopleWhoAskForOne) {
  const auto page = get("text/html,application/xhtml+xml");
  EXPECT_EQ(page.headers.find("Content-Type"), "text/html; charset=utf-8");
  each_operation([&](const auto& path, const auto& /*item*/, const auto& /*method*/, const auto& operation) {
    EXPECT_NE(page.body.find("id=\"" + std::string(operation.at("operationId").as_string()) + "\""), std::string::npos)
        << path;
  });
  EXPECT_EQ(page.body.find("<script"), std::string::npos);
}

TEST_F(DocumentTest, RefusesAnOperationThatIsThereAlready) {
  EXPECT_THROW(routes_.add({.method = "GET", .path = "/again", .operation = "teams-list", .tag = "T", .summary = "s"},
                           [](const auto&, const auto&) { return http::Response(); }),
               core::Error);
}

}  // namespace
}  // namespace backstay::api::house
