#include "blob/retrying_store.h"

#include <thread>

#include <gtest/gtest.h>

#include "blob/testing/faulty_store.h"
#include "blob/testing/memory_store.h"
#include "blob/testing/store_conformance.h"

namespace backstay::blob {
namespace {

using core::as_bytes;
using core::Code;
using core::Error;
using namespace std::chrono_literals;

/// Time that passes only by waiting: every wait ends at once.
class PatientClock final : public core::Clock {
 public:
  core::Timestamp now() override { return core::Timestamp(steady_now().time_since_epoch() / 1us * 1us); }
  core::SteadyTime steady_now() override { return core::SteadyTime(waited_.load()); }
  bool wait(std::stop_token stop, core::Duration time) override {
    if (on_wait) on_wait();
    waited_ = waited_.load() + time;
    ++waits;
    return !stop.stop_requested();
  }
  core::Duration waited() const { return waited_; }

  std::function<void()> on_wait;
  std::atomic<int> waits = 0;

 private:
  std::atomic<core::Duration> waited_{core::Duration(0)};
};

/// Passes everything on to a store that lives elsewhere.
class Borrowed final : public Store {
 public:
  explicit Borrowed(Store& store) : store_(store) {}
  void put(std::string_view key, core::ByteSpan content) override { store_.put(key, content); }
  bool put_if_absent(std::string_view key, core::ByteSpan content) override {
    return store_.put_if_absent(key, content);
  }
  std::unique_ptr<Upload> begin_upload(std::string_view key) override { return store_.begin_upload(key); }
  std::optional<core::Bytes> get(std::string_view key) override { return store_.get(key); }
  std::optional<core::Bytes> get_range(std::string_view key, std::uint64_t offset, std::uint64_t length) override {
    return store_.get_range(key, offset, length);
  }
  std::optional<ObjectTail> get_tail(std::string_view key, std::uint64_t length) override {
    return store_.get_tail(key, length);
  }
  std::optional<ObjectInfo> head(std::string_view key) override { return store_.head(key); }
  void list(std::string_view prefix, std::string_view start_after,
            const std::function<bool(const ObjectInfo&)>& each) override {
    store_.list(prefix, start_after, each);
  }
  void remove(std::span<const std::string> keys) override { store_.remove(keys); }
  [[nodiscard]] StoreFeatures features() const override { return store_.features(); }
  [[nodiscard]] std::string description() const override { return store_.description(); }

 private:
  Store& store_;
};

struct Stack {
  explicit Stack(RetryPolicy policy = {}, std::stop_token stop = {})
      : store(std::make_unique<Borrowed>(faulty), policy, {.clock = clock, .random = random, .stop = std::move(stop)}) {
  }
  testing::MemoryStore memory;
  testing::FaultyStore faulty{memory};
  PatientClock clock;
  core::SystemRandom random;
  RetryingStore store;
};

class StackFixture final : public testing::StoreFixture {
 public:
  Store& store() override { return stack_.store; }

 private:
  Stack stack_;
};
const bool kRegistered =
    testing::register_store_conformance("Retrying", [] { return std::make_unique<StackFixture>(); });

Code code_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "nothing was thrown";
  return Code::kInternal;
}

// Each call of the contract survives one bad moment, before or after its work was done.
TEST(RetryingStoreTest, EveryCallSurvivesOneFailure) {
  for (const bool lose : {false, true}) {
    for (const Code code : {Code::kStoreUnreachable, Code::kTimeout}) {
      Stack stack;
      const auto fail = [&] { lose ? stack.faulty.lose_answer(1, code) : stack.faulty.fail_call(1, code); };
      fail();
      stack.store.put("a", as_bytes("1"));
      fail();
      EXPECT_TRUE(stack.store.put_if_absent("b", as_bytes("2")));
      fail();
      EXPECT_FALSE(stack.store.put_if_absent("b", as_bytes("other")));
      fail();
      const auto upload = stack.store.begin_upload("c");
      fail();
      upload->append(as_bytes("one"));
      upload->append(as_bytes("two"));
      fail();
      upload->finish();
      fail();
      EXPECT_EQ(core::as_text(*stack.store.get("c")), "onetwo");
      fail();
      EXPECT_EQ(core::as_text(*stack.store.get_range("c", 1, 2)), "ne");
      fail();
      EXPECT_EQ(stack.store.get_tail("c", 1)->object_size, 6U);
      fail();
      EXPECT_TRUE(stack.store.head("c"));
      fail();
      std::vector<std::string> keys;
      stack.store.list("", "", [&](const ObjectInfo& info) {
        keys.push_back(info.key);
        return true;
      });
      EXPECT_EQ(keys, (std::vector<std::string>{"a", "b", "c"}));
      fail();
      stack.store.remove(keys);
      EXPECT_TRUE(stack.memory.keys().empty());
    }
  }
}

TEST(RetryingStoreTest, DoesNotRepeatWhatCannotHelp) {
  for (const Code code : {Code::kStoreAccessDenied, Code::kStoreNotFound, Code::kStoreRefused, Code::kDiskFull}) {
    Stack stack;
    stack.faulty.fail_call(1, code);
    EXPECT_EQ(code_of([&] { stack.store.head("a"); }), code);
    EXPECT_EQ(stack.faulty.calls(), 1U);
  }
}

TEST(RetryingStoreTest, GivesUpAfterItsAttempts) {
  Stack stack({.attempts = 4});
  stack.faulty.go_away();
  try {
    stack.store.head("a");
    FAIL() << "succeeded";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kStoreUnreachable);
    EXPECT_TRUE(error.message().starts_with("gave up after 4 attempts: ")) << error.message();
  }
  EXPECT_EQ(stack.faulty.calls(), 4U);
}

TEST(RetryingStoreTest, WaitsLongerEachTimeWithJitter) {
  Stack stack({.attempts = 8, .first_delay = 100ms, .longest_delay = 1s});
  stack.faulty.go_away();
  EXPECT_THROW(stack.store.head("a"), Error);
  // 100, 200, 400, 800, 1000, 1000, 1000 ms, each between half of it and all of it.
  EXPECT_EQ(stack.clock.waits, 7);
  EXPECT_GE(stack.clock.waited(), 2250ms);
  EXPECT_LE(stack.clock.waited(), 4500ms);
}

TEST(RetryingStoreTest, KeepsItsDeadline) {
  Stack stack({.attempts = 1000, .first_delay = 1s, .longest_delay = 1s, .deadline = 10s});
  stack.faulty.go_away();
  EXPECT_EQ(code_of([&] { stack.store.head("a"); }), Code::kStoreUnreachable);
  EXPECT_LE(stack.clock.waited(), 10s);
  EXPECT_GE(stack.clock.waited(), 8s);
}

TEST(RetryingStoreTest, StopsWhenTold) {
  std::stop_source stop;
  Stack stack({}, stop.get_token());
  stack.faulty.go_away();
  stack.clock.on_wait = [&] { stop.request_stop(); };
  EXPECT_EQ(code_of([&] { stack.store.head("a"); }), Code::kCancelled);
  EXPECT_EQ(stack.faulty.calls(), 1U);
  EXPECT_EQ(code_of([&] { stack.store.head("a"); }), Code::kCancelled);
  EXPECT_EQ(stack.faulty.calls(), 1U);
}

TEST(RetryingStoreTest, ContinuesAListingWhereItBroke) {
  Stack stack;
  for (const auto* key : {"a", "b", "c"}) stack.memory.put(key, as_bytes("x"));
  stack.faulty.lose_answer(1);
  std::vector<std::string> keys;
  stack.store.list("", "", [&](const ObjectInfo& info) {
    keys.push_back(info.key);
    return true;
  });
  EXPECT_EQ(keys, (std::vector<std::string>{"a", "b", "c"}));
}

TEST(RetryingStoreTest, DoesNotRepeatForAnErrorOfTheCaller) {
  Stack stack;
  stack.memory.put("a", as_bytes("x"));
  int seen = 0;
  EXPECT_EQ(code_of([&] {
              stack.store.list("", "", [&](const ObjectInfo&) -> bool {
                ++seen;
                throw Error(Code::kStoreUnreachable, "another store");
              });
            }),
            Code::kStoreUnreachable);
  EXPECT_EQ(seen, 1);
}

}  // namespace
}  // namespace backstay::blob
