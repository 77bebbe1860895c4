#include "control/webhook_dispatch.h"

#include <algorithm>
#include <array>
#include <map>
#include <thread>

#include <fmt/format.h>

#include "core/error.h"
#include "core/log.h"
#include "core/text.h"
#include "metadata/events.h"
#include "metadata/settings.h"
#include "metadata/webhooks.h"

namespace backstay::control {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

/// Up to which event deliveries have been entered.
constexpr const char* kEnteredKey = "webhooks.entered";
constexpr std::size_t kEventsAtOnce = 200;
constexpr std::size_t kDeliveriesAtOnce = 20;
/// Webhooks that are served at a time, and how many of one team: slow ones hold up few others.
constexpr std::size_t kWebhooksAtOnce = 8;
constexpr std::size_t kOfOneTeam = 2;
constexpr auto kDeadline = seconds(10);
/// Pauses after the first, second, … failure: close to a day in all.
constexpr std::array<seconds, 10> kPauses{seconds(5), seconds(30), minutes(2), minutes(10), minutes(30),
                                          hours(1),   hours(2),    hours(4),   hours(8),    hours(8)};
/// The longest pause of what else waits for a webhook that did not take something: others are served meanwhile.
constexpr auto kLongestPutOff = minutes(2);
/// A webhook that has taken nothing for so long when a delivery is given up is disabled.
constexpr auto kDisabledAfter = hours(23);
constexpr int kGone = 410;

std::string body_of(const model::Event& event) {
  return core::to_text(core::json::object{
      {"type", event.name}, {"timestamp", core::format_time(event.time)}, {"data", model::to_json(event)}});
}

bool wants(const model::Webhook& webhook, const model::Event& event) {
  if (!webhook.enabled || event.sequence <= webhook.after_sequence) return false;
  if (webhook.team_id != 0 && webhook.team_id != event.team_id) return false;
  return webhook.events.empty() || events::matches(webhook.events, event.name);
}

std::int64_t entered(metadata::Transaction& tx, const std::vector<model::Webhook>& webhooks) {
  const auto first = std::ranges::min_element(webhooks, {}, &model::Webhook::after_sequence)->after_sequence;
  const auto text = metadata::Settings(tx).get(kEnteredKey);
  return std::max(first, text ? core::parse_int(*text).value_or(0) : 0);
}

struct News {
  std::vector<model::Webhook> webhooks;
  std::vector<model::Event> events;
};

News news(metadata::Transaction& tx) {
  News news{metadata::Webhooks(tx).list(), {}};
  std::erase_if(news.webhooks, [](const auto& webhook) { return !webhook.enabled; });
  if (news.webhooks.empty()) return news;
  news.events = metadata::Events(tx).list({.after_sequence = entered(tx, news.webhooks), .limit = kEventsAtOnce});
  return news;
}

/// Few at a time, and few of one team.
std::vector<std::string> next_webhooks(metadata::Transaction& tx, core::Timestamp now) {
  std::vector<std::string> chosen;
  std::map<std::int64_t, std::size_t> of_team;
  for (const auto& id : metadata::Deliveries(tx).webhooks_due(now)) {
    const auto webhook = metadata::Webhooks(tx).find(id);
    if (!webhook || ++of_team[webhook->team_id] > kOfOneTeam) continue;
    chosen.push_back(id);
    if (chosen.size() == kWebhooksAtOnce) break;
  }
  return chosen;
}

}  // namespace

bool WebhookDispatch::turn(const std::stop_token& stop) {
  const bool more = enter_events();
  const auto chosen = deps_.database.read([&](auto& tx) { return next_webhooks(tx, deps_.clock.now()); });
  {
    std::vector<std::jthread> senders;
    for (const auto& id : chosen) {
      senders.emplace_back([this, &stop, id] {
        try {
          serve(id, stop);
        } catch (...) {
          core::log_error("webhook.failed", core::as_error(std::current_exception()).message(), {{"webhook", id}});
        }
      });
    }
  }
  return more || !chosen.empty();
}

bool WebhookDispatch::enter_events() {
  if (deps_.database.read([](auto& tx) { return news(tx).events.empty(); })) return false;
  return deps_.database.write([&](auto& tx) {
    const auto [webhooks, events] = news(tx);
    for (const auto& event : events) {
      for (const auto& webhook : webhooks) {
        if (!wants(webhook, event)) continue;
        model::Delivery delivery;
        delivery.id = deps_.random.uuid();
        delivery.webhook_id = webhook.id;
        delivery.team_id = webhook.team_id;
        delivery.event_id = event.id;
        delivery.event_name = event.name;
        delivery.body = body_of(event);
        delivery.created_at = delivery.next_at = deps_.clock.now();
        metadata::Deliveries(tx).insert(delivery);
      }
    }
    if (!events.empty()) metadata::Settings(tx).put(kEnteredKey, std::to_string(events.back().sequence));
    return events.size() == kEventsAtOnce;
  });
}

void WebhookDispatch::serve(const std::string& webhook_id, const std::stop_token& stop) {
  const auto until = deps_.clock.steady_now() + kDeadline;
  const auto [webhook, due] = deps_.database.read([&](auto& tx) {
    return std::pair(metadata::Webhooks(tx).find(webhook_id),
                     metadata::Deliveries(tx).due(webhook_id, deps_.clock.now(), kDeliveriesAtOnce));
  });
  if (!webhook) return;
  for (const auto& delivery : due) {
    const auto outcome = deps_.notifier.send({webhook->url, webhook->secret, delivery.id, delivery.body}, stop);
    if (stop.stop_requested()) return;  // whether it was taken is not known: it is sent again
    note(delivery.id, outcome);
    if (!outcome.error.empty() || deps_.clock.steady_now() > until) return;
  }
}

void WebhookDispatch::note(const std::string& delivery_id, const Receipt& outcome) {
  deps_.database.write([&](auto& tx) {
    auto delivery = metadata::Deliveries(tx).find(delivery_id);
    if (!delivery) return;  // removed meanwhile
    auto webhook = metadata::Webhooks(tx).find(delivery->webhook_id);
    ++delivery->attempts;
    delivery->last_status = outcome.status;
    delivery->last_error = outcome.error;
    if (outcome.error.empty()) {
      delivery->state = model::DeliveryState::kDelivered;
      delivery->finished_at = deps_.clock.now();
      webhook->failing_since.reset();
    } else {
      note_failure(tx, *webhook, *delivery, outcome);
    }
    metadata::Deliveries(tx).update(*delivery);
    metadata::Webhooks(tx).update(*webhook);
  });
}

void WebhookDispatch::note_failure(metadata::Transaction& tx, model::Webhook& webhook, model::Delivery& delivery,
                                   const Receipt& outcome) {
  const auto now = deps_.clock.now();
  if (!webhook.failing_since) webhook.failing_since = now;
  const auto failures = static_cast<std::size_t>(delivery.attempts);
  const auto pause = kPauses[std::min(failures, kPauses.size()) - 1];
  metadata::Deliveries(tx).put_off(webhook.id, now + std::min<seconds>(pause, kLongestPutOff));
  if (outcome.status != kGone && failures <= kPauses.size()) {
    delivery.next_at = now + pause;
    return;
  }
  delivery.state = model::DeliveryState::kFailed;
  delivery.finished_at = now;
  if (!webhook.enabled || (outcome.status != kGone && now - *webhook.failing_since < kDisabledAfter)) return;
  webhook.enabled = false;
  webhook.disabled_reason = outcome.error;
  metadata::Deliveries(tx).give_up(webhook.id, now, "the webhook was disabled: " + outcome.error);
  events_.record(tx, webhook.team_id, events::kWebhookDisabled,
                 fmt::format("the webhook '{}' is disabled, since it took nothing any more: {}; correct the receiver, "
                             "then enable it (PATCH with enabled true)",
                             webhook.name, outcome.error),
                 {{"webhook.id", webhook.id}});
}

}  // namespace backstay::control
