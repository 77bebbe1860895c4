#include "control/webhook_commands.h"

#include <fmt/format.h>

#include "control/idempotency.h"
#include "control/refusals.h"
#include "core/bytes.h"
#include "core/error.h"
#include "core/text.h"
#include "metadata/events.h"
#include "metadata/teams.h"
#include "metadata/webhooks.h"

namespace backstay::control {
namespace {

constexpr const char* kTest = "webhook.test";
constexpr std::size_t kLongestName = 100;
constexpr std::size_t kLongestUrl = 2000;
constexpr std::size_t kSecretBytes = 32;

std::int64_t newest_event(metadata::Transaction& tx) {
  const auto newest = metadata::Events(tx).list({.newest_first = true, .limit = 1});
  return newest.empty() ? 0 : newest.front().sequence;
}

core::Error not_found(std::string_view what, const std::string& id) {
  return {core::Code::kNotFound, fmt::format("there is no {} '{}'", what, id)};
}

void require_enabled(const model::Webhook& webhook) {
  if (webhook.enabled) return;
  throw core::Error(core::Code::kConflict, fmt::format("the webhook '{}' is disabled", webhook.name))
      .with_hint("enable it first (PATCH with enabled true)");
}

/// Those of team 0 are told of every team.
bool sees(const Principal& principal, std::int64_t team_id) {
  return team_id == 0 ? principal.admin : principal.sees_team(team_id);
}

/// In words; nothing of the address, which may hold a secret.
std::vector<std::string> changes_of(const model::Webhook& before, const model::Webhook& after) {
  std::vector<std::string> changes;
  if (before.name != after.name) changes.push_back(fmt::format("it is called '{}'", after.name));
  if (before.url != after.url) changes.emplace_back("it has another address");
  if (before.events != after.events) {
    changes.push_back(after.events.empty() ? "it is told of all events"
                                           : fmt::format("it is told of {}", fmt::join(after.events, ", ")));
  }
  if (before.enabled != after.enabled) {
    changes.emplace_back(after.enabled ? "it is enabled again, and told of what happens from now on"
                                       : "it is disabled, and told of nothing");
  }
  return changes;
}

}  // namespace

void WebhookCommands::check(const std::string& name, const std::string& url, const std::vector<std::string>& events) {
  Refusals refusals;
  if (core::trim(name).empty() || name.size() > kLongestName) {
    refusals.add("/name", fmt::format("needs 1 to {} characters", kLongestName));
  }
  if (url.size() > kLongestUrl) refusals.add("/url", fmt::format("has more than {} characters", kLongestUrl));
  refusals.check([&] { static_cast<void>(events::expand(events, "/events")); });
  refusals.raise();
  try {
    deps_.notifier.check(url);
  } catch (core::Error& error) {
    throw error.with_field("/url", error.message());
  }
}

model::Webhook WebhookCommands::create(const CreateWebhookRequest& request, const Principal& principal) {
  require_write(principal);
  if (request.team_id == 0) require_admin(principal);
  check(request.name, request.url, request.events);
  model::Webhook webhook;
  webhook.id = deps_.random.uuid();
  webhook.team_id = request.team_id;
  webhook.name = request.name;
  webhook.url = request.url;
  webhook.events = request.events;
  webhook.secret = core::Secret("whsec_" + core::to_base64(deps_.random.bytes(kSecretBytes)));
  webhook.created_at = deps_.clock.now();
  deps_.database.write([&](auto& tx) {
    const bool is_there = request.team_id == 0 || metadata::Teams(tx).find(request.team_id);
    if (!is_there || !principal.sees_team(request.team_id)) {
      throw not_found("team", std::to_string(request.team_id)).with_field("/teamId", "names no team of the token");
    }
    metadata::Webhooks webhooks(tx);
    if (webhooks.list(std::vector{request.team_id}).size() >= kMostOfTeam) {
      throw core::Error(core::Code::kConflict, fmt::format("a team has at most {} webhooks", kMostOfTeam));
    }
    webhook.after_sequence = newest_event(tx);
    webhooks.insert(webhook);
    take_effect(tx, principal, webhook.id);
    events_.record(tx, webhook.team_id, events::kWebhookCreated,
                   fmt::format("the webhook '{}' is told of events from now on", webhook.name),
                   {{"webhook.id", webhook.id}});
  });
  return webhook;
}

model::Webhook WebhookCommands::require(metadata::Transaction& tx, const std::string& id, const Principal& principal) {
  auto found = metadata::Webhooks(tx).find(id);
  if (!found || !sees(principal, found->team_id)) throw not_found("webhook", id);
  return std::move(*found);
}

model::Webhook WebhookCommands::update(const std::string& id, const UpdateWebhookRequest& request,
                                       const Principal& principal, const Precondition<model::Webhook>& precondition) {
  require_write(principal);
  const auto before = webhook(id, principal);
  check(request.name.value_or(before.name), request.url.value_or(before.url), request.events.value_or(before.events));
  return deps_.database.write([&](auto& tx) {
    auto webhook = require(tx, id, principal);
    require_precondition(precondition, webhook);
    const auto before_it = webhook;
    webhook.name = request.name.value_or(webhook.name);
    webhook.url = request.url.value_or(webhook.url);
    webhook.events = request.events.value_or(webhook.events);
    const bool enabled = request.enabled.value_or(webhook.enabled);
    if (enabled && !webhook.enabled) {
      webhook.after_sequence = newest_event(tx);
      webhook.failing_since.reset();
      webhook.disabled_reason.clear();
    }
    if (enabled != webhook.enabled) {
      metadata::Deliveries(tx).give_up(id, deps_.clock.now(), "the webhook was disabled");
    }
    webhook.enabled = enabled;
    metadata::Webhooks(tx).update(webhook);
    if (const auto changes = changes_of(before_it, webhook); !changes.empty()) {
      events_.record(tx, webhook.team_id, events::kWebhookChanged,
                     fmt::format("the webhook '{}' was changed: {}", before_it.name, fmt::join(changes, "; ")),
                     {{"webhook.id", id}});
    }
    return webhook;
  });
}

Preview WebhookCommands::remove(const std::string& id, const Principal& principal, Effect effect,
                                const Precondition<model::Webhook>& precondition) {
  require_delete(principal);
  auto tx = deps_.database.begin(metadata::Access::kWrite);
  const auto webhook = require(tx, id, principal);
  require_precondition(precondition, webhook);
  Preview preview{.effects = {fmt::format("the webhook '{}' is removed with its deliveries; what was not sent yet is "
                                          "not sent any more",
                                          webhook.name)}};
  if (effect == Effect::kDryRun) return preview;
  metadata::Webhooks(tx).remove(id);
  events_.record(tx, webhook.team_id, events::kWebhookDeleted,
                 fmt::format("the webhook '{}' was removed", webhook.name), {{"webhook.id", id}});
  tx.commit();
  return preview;
}

model::Webhook WebhookCommands::webhook(const std::string& id, const Principal& principal) {
  require_read(principal);
  return deps_.database.read([&](auto& tx) { return require(tx, id, principal); });
}

std::vector<model::Webhook> WebhookCommands::webhooks(std::optional<std::int64_t> team_id, const Principal& principal) {
  require_read(principal);
  auto found = deps_.database.read([](auto& tx) { return metadata::Webhooks(tx).list(); });
  std::erase_if(found, [&](const auto& webhook) {
    return !sees(principal, webhook.team_id) || (team_id && *team_id != webhook.team_id);
  });
  return found;
}

model::Delivery WebhookCommands::test(const std::string& id, const Principal& principal) {
  require_write(principal);
  return deps_.database.write([&](auto& tx) {
    const auto webhook = require(tx, id, principal);
    require_enabled(webhook);
    if (metadata::Deliveries(tx).is_pending(id, kTest)) {
      throw core::Error(core::Code::kConflict,
                        fmt::format("a test of the webhook '{}' is still to be sent", webhook.name))
          .with_hint("its deliveries tell what becomes of it");
    }
    model::Delivery delivery;
    delivery.id = deps_.random.uuid();
    delivery.webhook_id = id;
    delivery.team_id = webhook.team_id;
    delivery.event_name = kTest;
    delivery.created_at = delivery.next_at = deps_.clock.now();
    delivery.body = core::to_text(core::json::object{{"type", delivery.event_name},
                                                     {"timestamp", core::format_time(delivery.created_at)},
                                                     {"data", {{"webhookId", id}, {"teamId", webhook.team_id}}}});
    metadata::Deliveries(tx).insert(delivery);
    take_effect(tx, principal, delivery.id);
    return *metadata::Deliveries(tx).find(delivery.id);
  });
}

model::Delivery WebhookCommands::delivery(const std::string& delivery_id, const Principal& principal) {
  require_read(principal);
  const auto found = deps_.database.read([&](auto& tx) { return metadata::Deliveries(tx).find(delivery_id); });
  if (!found || !sees(principal, found->team_id)) throw not_found("delivery", delivery_id);
  return *found;
}

model::Delivery WebhookCommands::redeliver(const std::string& id, const std::string& delivery_id,
                                           const Principal& principal) {
  require_write(principal);
  return deps_.database.write([&](auto& tx) {
    require_enabled(require(tx, id, principal));
    auto delivery = metadata::Deliveries(tx).find(delivery_id);
    if (!delivery || delivery->webhook_id != id) throw not_found("delivery", delivery_id);
    delivery->state = model::DeliveryState::kPending;
    delivery->attempts = 0;
    delivery->next_at = deps_.clock.now();
    delivery->finished_at.reset();
    metadata::Deliveries(tx).update(*delivery);
    take_effect(tx, principal, delivery_id);
    return *delivery;
  });
}

std::vector<model::Delivery> WebhookCommands::deliveries(const std::string& id, std::int64_t before_sequence,
                                                         std::size_t limit, const Principal& principal) {
  require_read(principal);
  return deps_.database.read([&](auto& tx) {
    static_cast<void>(require(tx, id, principal));
    return metadata::Deliveries(tx).list(id, before_sequence, limit);
  });
}

}  // namespace backstay::control
