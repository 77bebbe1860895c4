#include "metadata/webhooks.h"

#include <gtest/gtest.h>

#include "metadata/testing/temporary_database.h"

namespace backstay::metadata {
namespace {

core::Timestamp at(int second) { return core::parse_time("2026-04-10T12:00:00Z") + std::chrono::seconds(second); }

model::Webhook webhook(const std::string& id, std::int64_t team) {
  return {.id = id,
          .team_id = team,
          .name = "n",
          .url = "https://example.org/",
          .events = {"backup.*"},
          .secret = core::Secret("whsec_in-clear"),
          .after_sequence = 7,
          .created_at = at(0)};
}

model::Delivery delivery(const std::string& id, const std::string& webhook, int due) {
  return {.id = id,
          .webhook_id = webhook,
          .team_id = 1,
          .event_id = "e",
          .event_name = "backup.failed",
          .body = "{}",
          .next_at = at(due),
          .created_at = at(0)};
}

class WebhooksTest : public ::testing::TestWithParam<testing::Store> {
 protected:
  WebhooksTest() {
    database_.write([](auto& tx) {
      Webhooks(tx).insert(webhook("a", 1));
      Webhooks(tx).insert(webhook("b", 2));
      Deliveries(tx).insert(delivery("1", "a", 10));
      Deliveries(tx).insert(delivery("2", "a", 5));
      Deliveries(tx).insert(delivery("3", "b", 1));
    });
  }
  std::vector<std::string> due(int second) {
    return database_.read([&](auto& tx) { return Deliveries(tx).webhooks_due(at(second)); });
  }
  testing::TemporaryDatabase temporary_{GetParam()};
  Database& database_ = temporary_.database();
};

INSTANTIATE_TEST_SUITE_P(Stores, WebhooksTest, ::testing::Values(testing::Store::kSqlite, testing::Store::kPostgresql));

TEST_P(WebhooksTest, KeepsEveryField) {
  auto changed = webhook("a", 1);
  changed.enabled = false;
  changed.disabled_reason = "gone";
  changed.failing_since = at(3);
  changed.events = {};
  database_.write([&](auto& tx) { Webhooks(tx).update(changed); });
  const auto found = database_.read([](auto& tx) { return Webhooks(tx).find("a"); }).value();
  EXPECT_FALSE(found.enabled);
  EXPECT_EQ(found.disabled_reason + found.name + found.url, "gonenhttps://example.org/");
  EXPECT_EQ(found.failing_since, at(3));
  EXPECT_TRUE(found.events.empty());
  EXPECT_EQ(found.secret.reveal(), "whsec_in-clear");
  EXPECT_EQ(found.after_sequence, 7);
  EXPECT_EQ(database_.read([](auto& tx) { return Webhooks(tx).list(std::vector<std::int64_t>{2}); }).size(), 1u);
}

TEST_P(WebhooksTest, FindsWhatIsDueOfWebhooksThatAreEnabled) {
  EXPECT_TRUE(due(0).empty());
  EXPECT_EQ(due(20), (std::vector<std::string>{"b", "a"}));
  EXPECT_EQ(database_.read([](auto& tx) { return Deliveries(tx).due("a", at(20), 10); }).at(0).id, "1");
  EXPECT_EQ(database_.read([](auto& tx) { return Deliveries(tx).due("a", at(7), 10); }).at(0).id, "2");
  auto off = webhook("b", 2);
  off.enabled = false;
  database_.write([&](auto& tx) { Webhooks(tx).update(off); });
  EXPECT_EQ(due(20), std::vector<std::string>{"a"});
}

TEST_P(WebhooksTest, WhatCameToItsEndIsNotDueAndGoesWithTheHistory) {
  auto ended = delivery("3", "b", 1);
  ended.state = model::DeliveryState::kDelivered;
  ended.finished_at = at(4);
  ended.attempts = 2;
  ended.last_status = 200;
  database_.write([&](auto& tx) { Deliveries(tx).update(ended); });
  const auto found = database_.read([](auto& tx) { return Deliveries(tx).find("3"); }).value();
  EXPECT_EQ(found.attempts + found.last_status, 202);
  EXPECT_EQ(due(20), std::vector<std::string>{"a"});
  EXPECT_EQ(database_.write([](auto& tx) { return Deliveries(tx).prune(at(5)); }), 1u);
  EXPECT_TRUE(database_.read([](auto& tx) { return Deliveries(tx).list("b", 0, 0); }).empty());
}

TEST_P(WebhooksTest, ARemovedWebhookTakesItsDeliveriesAlong) {
  EXPECT_EQ(database_.read([](auto& tx) { return Deliveries(tx).list("a", 0, 0); }).at(0).id, "2");
  EXPECT_EQ(database_.read([](auto& tx) { return Deliveries(tx).list("a", 2, 0); }).size(), 1u);
  database_.write([](auto& tx) { Webhooks(tx).remove("a"); });
  EXPECT_FALSE(database_.read([](auto& tx) { return Webhooks(tx).find("a"); }));
  EXPECT_FALSE(database_.read([](auto& tx) { return Deliveries(tx).find("1"); }));
}

}  // namespace
}  // namespace backstay::metadata
