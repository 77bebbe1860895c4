#include "metadata/idempotency_keys.h"

#include <gtest/gtest.h>

#include "metadata/query.h"
#include "metadata/testing/temporary_database.h"

namespace backstay::metadata {
namespace {

const core::Timestamp kNow = core::parse_time("2026-01-01T00:00:00Z");

IdempotencyKey make_key(const std::string& attempt = "first") {
  IdempotencyKey key;
  key.caller = "token";
  key.key = "k1";
  key.request = core::Secret(R"({"password":"not-in-clear"})");
  key.attempt = attempt;
  key.lease_until = kNow + std::chrono::minutes(2);
  key.expires_at = kNow + std::chrono::hours(24);
  return key;
}

class IdempotencyKeysTest : public ::testing::Test {
 protected:
  std::optional<IdempotencyKey> find() {
    return store_.database().read([](auto& tx) { return IdempotencyKeys(tx).find("token", "k1"); });
  }
  template <typename Work>
  auto write(Work work) {
    return store_.database().write([&](auto& tx) { return work(IdempotencyKeys(tx)); });
  }
  void insert() {
    write([](auto keys) { keys.insert(make_key()); });
  }

  testing::TemporaryDatabase store_;
};

TEST_F(IdempotencyKeysTest, KeepsNothingSecretInClear) {
  insert();
  write([](auto keys) {
    EXPECT_TRUE(keys.make_effective(make_key(), "s1"));
    keys.put_answer(make_key(), 200, R"({"token":"not-in-clear"})");
  });
  const auto found = find().value();
  EXPECT_EQ(found.request.reveal(), make_key().request.reveal());
  EXPECT_EQ(found.answer.reveal(), R"({"token":"not-in-clear"})");
  EXPECT_EQ(found.state, KeyState::kAnswered);
  EXPECT_EQ(found.status, 200);
  EXPECT_EQ(found.subject, "s1");
  store_.database().read([](auto& tx) {
    Query(tx, "SELECT * FROM idempotency_keys").each([](const Row& row) {
      EXPECT_EQ(row.text("sealed_request").find("not-in-clear"), std::string::npos);
      EXPECT_EQ(row.text("sealed_answer").find("not-in-clear"), std::string::npos);
    });
  });
}

TEST_F(IdempotencyKeysTest, TakesEffectOnceAndForItsOwnAttemptOnly) {
  insert();
  EXPECT_FALSE(write([](auto keys) { return keys.make_effective(make_key("other"), "s1"); }));
  EXPECT_TRUE(write([](auto keys) { return keys.make_effective(make_key(), "s1"); }));
  EXPECT_FALSE(write([](auto keys) { return keys.make_effective(make_key(), "s2"); }));
  write([](auto keys) { keys.release(make_key()); });
  EXPECT_EQ(find()->subject, "s1") << "what took effect is not forgotten";
  EXPECT_LT(find()->lease_until, kNow);
}

TEST_F(IdempotencyKeysTest, BelongsToTheAttemptThatTookItOver) {
  insert();
  write([](auto keys) { keys.take_over(make_key("second")); });
  EXPECT_FALSE(write([](auto keys) { return keys.make_effective(make_key("first"), "s1"); }));
  write([](auto keys) { keys.release(make_key("first")); });
  EXPECT_TRUE(find());
  write([](auto keys) { keys.release(make_key("second")); });
  EXPECT_FALSE(find());
}

TEST_F(IdempotencyKeysTest, IsForgottenInTheEnd) {
  insert();
  write([](auto keys) { keys.prune(kNow + std::chrono::hours(23)); });
  EXPECT_TRUE(find());
  write([](auto keys) { keys.prune(kNow + std::chrono::hours(24)); });
  EXPECT_FALSE(find());
}

TEST_F(IdempotencyKeysTest, EndsLeasesAtAStart) {
  insert();
  write([](auto keys) { keys.end_leases(); });
  EXPECT_LT(find()->lease_until, kNow);
}

}  // namespace
}  // namespace backstay::metadata
