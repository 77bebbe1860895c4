#include "api/entity_tags.h"
#include "api/fields.h"
#include "api/house/paging.h"
#include "api/house/request_parts.h"
#include "api/house/resources.h"
#include "api/house/route_groups.h"
#include "api/json_response.h"
#include "api/request_check.h"
#include "core/error.h"
#include "core/text.h"

namespace backstay::api::house {
namespace {

namespace json = core::json;
using control::Principal;
using http::Request;
using http::Response;

json::object webhook_resource(const model::Webhook& webhook) {
  json::object object{{"id", webhook.id},
                      {"teamId", webhook.team_id},
                      {"name", webhook.name},
                      {"url", webhook.url},
                      {"events", json::array(webhook.events.begin(), webhook.events.end())},
                      {"enabled", webhook.enabled},
                      {"createdAt", core::format_time(webhook.created_at)}};
  if (!webhook.disabled_reason.empty()) object["disabledReason"] = webhook.disabled_reason;
  if (webhook.failing_since) object["failingSince"] = core::format_time(*webhook.failing_since);
  return object;
}

json::object delivery_resource(const model::Delivery& delivery) {
  const bool pending = delivery.state == model::DeliveryState::kPending;
  json::object object{{"id", delivery.id},
                      {"webhookId", delivery.webhook_id},
                      {"eventName", delivery.event_name},
                      {"state", model::to_text(delivery.state)},
                      {"attempts", delivery.attempts},
                      {"createdAt", core::format_time(delivery.created_at)}};
  if (!delivery.event_id.empty()) object["eventId"] = delivery.event_id;
  if (pending) object["nextAttemptAt"] = core::format_time(delivery.next_at);
  if (delivery.finished_at) object["finishedAt"] = core::format_time(*delivery.finished_at);
  if (delivery.last_status != 0) object["lastStatus"] = delivery.last_status;
  if (!delivery.last_error.empty()) object["lastError"] = delivery.last_error;
  return object;
}

control::CreateWebhookRequest create_request(const json::object& body) {
  std::vector<core::FieldError> refused;
  Fields fields(body, "", refused);
  control::CreateWebhookRequest request{.team_id = fields.integer("teamId").value_or(0),
                                        .name = fields.text("name").value_or(""),
                                        .url = fields.text("url").value_or(""),
                                        .events = fields.texts("events").value_or(std::vector<std::string>())};
  require_none_refused(refused);
  return request;
}

control::UpdateWebhookRequest update_request(const json::object& body) {
  std::vector<core::FieldError> refused;
  Fields fields(body, "", refused);
  control::UpdateWebhookRequest request{.name = fields.text("name"),
                                        .url = fields.text("url"),
                                        .events = fields.texts("events"),
                                        .enabled = fields.flag("enabled")};
  require_none_refused(refused);
  return request;
}

std::string webhook_in_path(const Request& request) { return path_uuid(request, "webhook"); }

control::Precondition<model::Webhook> as_seen(const Request& request) {
  return [&request](const model::Webhook& webhook) {
    require_match(request, body_tag(core::to_text(webhook_resource(webhook))), "webhook");
  };
}

Endpoint endpoint(std::string method, std::string path, std::string operation, std::string summary, Scope scope) {
  return {.method = std::move(method),
          .path = std::move(path),
          .operation = std::move(operation),
          .tag = "Webhooks",
          .summary = std::move(summary),
          .scope = scope,
          .answer = ref("Webhook")};
}

void add_webhooks(RouteTable& routes, const Context& context) {
  auto list = endpoint("GET", "/webhooks", "webhooks-list", "List webhooks", Scope::kRead);
  list.query = team_parameters();
  list.paged = true;
  list.answer = array_of(ref("Webhook"));
  routes.add(list, [context](const Request& request, const Principal& principal) {
    return Page(context.queries, request)
        .answer_from(context.webhooks.webhooks(query_team(request), principal), webhook_resource,
                     [](const auto& webhook) { return webhook.id; });
  });

  auto create = endpoint("POST", "/webhooks", "webhooks-create", "Be told of events over HTTP", Scope::kWrite);
  create.description = "Its secret is in this one answer only; messages are signed with it (Standard Webhooks).";
  create.body = ref("CreateWebhook");
  create.more_refusals = {{404, "the team does not exist for this token"}};
  routes.add(create, [context](const Request& request, const Principal& principal) {
    const auto made = context.webhooks.create(create_request(json_body(request)), principal);
    auto resource = webhook_resource(made);
    resource["secret"] = made.secret.reveal();
    return json_response(resource);
  });

  auto get = endpoint("GET", "/webhooks/{id}", "webhooks-get", "One webhook", Scope::kRead);
  get.tagged = true;
  routes.add(get, [context](const Request& request, const Principal& principal) {
    return json_response(webhook_resource(context.webhooks.webhook(webhook_in_path(request), principal)));
  });

  auto update = endpoint("PATCH", "/webhooks/{id}", "webhooks-update", "Change or enable a webhook", Scope::kWrite);
  update.conditional = true;
  update.body = ref("UpdateWebhook");
  routes.add(update, [context](const Request& request, const Principal& principal) {
    const auto wanted = update_request(json_body(request));
    return json_response(
        webhook_resource(context.webhooks.update(webhook_in_path(request), wanted, principal, as_seen(request))));
  });

  auto remove = endpoint("DELETE", "/webhooks/{id}", "webhooks-delete", "Remove a webhook", Scope::kDelete);
  remove.previewed = true;
  remove.conditional = true;
  remove.answer = ref("Empty");
  routes.add(remove, [context](const Request& request, const Principal& principal) {
    const auto effect = query_effect(request);
    const auto preview = context.webhooks.remove(webhook_in_path(request), principal, effect, as_seen(request));
    return json_response(effect == control::Effect::kDryRun ? preview_resource(preview) : json::object());
  });
}

void add_deliveries(RouteTable& routes, const Context& context) {
  const ReplayHandler replay = [context](const Request& /*request*/, const Principal& principal,
                                         const std::string& id) {
    return json_response(delivery_resource(context.webhooks.delivery(id, principal)));
  };
  auto list = endpoint("GET", "/webhooks/{id}/deliveries", "webhooks-listDeliveries",
                       "What was sent, and what became of it, newest first", Scope::kRead);
  list.paged = true;
  list.usual_limit = kUsualLimit;
  list.answer = array_of(ref("WebhookDelivery"));
  routes.add(list, [context](const Request& request, const Principal& principal) {
    const Page page(context.queries, request, kUsualLimit);
    const auto before = core::parse_int(page.after()).value_or(0);
    return page.answer(context.webhooks.deliveries(webhook_in_path(request), before, page.fetch(), principal),
                       delivery_resource, [](const auto& delivery) { return std::to_string(delivery.sequence); });
  });

  auto test = endpoint("POST", "/webhooks/{id}/test", "webhooks-test", "Send a message 'webhook.test'", Scope::kWrite);
  test.answer = ref("WebhookDelivery");
  routes.add(
      test,
      [context](const Request& request, const Principal& principal) {
        return json_response(delivery_resource(context.webhooks.test(webhook_in_path(request), principal)));
      },
      replay);

  auto redeliver = endpoint("POST", "/webhooks/{id}/deliveries/{deliveryId}/redeliver", "webhooks-redeliver",
                            "Send a message once more", Scope::kWrite);
  redeliver.answer = ref("WebhookDelivery");
  routes.add(
      redeliver,
      [context](const Request& request, const Principal& principal) {
        const auto id = webhook_in_path(request);
        return json_response(
            delivery_resource(context.webhooks.redeliver(id, core::to_lower(request.param("deliveryId")), principal)));
      },
      replay);
}

}  // namespace

void add_webhook_routes(RouteTable& routes, const Context& context) {
  add_webhooks(routes, context);
  add_deliveries(routes, context);
}

}  // namespace backstay::api::house
