// The conformance suite against a real S3 endpoint, registered only if the environment names one.
#include <algorithm>
#include <cstdlib>

#include <gtest/gtest.h>

#include "blob/destination.h"
#include "blob/probe.h"
#include "blob/testing/store_conformance.h"
#include "core/testing/manual_clock.h"

namespace backstay::blob {
namespace {

std::string from_environment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): before any thread starts
  return value == nullptr ? "" : value;
}

struct Context {
  core::SystemClock clock;
  core::SystemRandom random;
  StoreContext store() { return {.clock = clock, .random = random}; }
};

StorePolicy policy() { return {.ca_file = from_environment("BACKSTAY_TEST_S3_CA_FILE"), .part_size = 5 * 1024 * 1024}; }

DestinationConfig destination(std::string_view prefix, AddressingStyle style) {
  return {.url = "s3://" + from_environment("BACKSTAY_TEST_S3_BUCKET") + "/" + std::string(prefix),
          .endpoint_url = from_environment("BACKSTAY_TEST_S3_ENDPOINT"),
          .access_key = from_environment("BACKSTAY_TEST_S3_ACCESS_KEY"),
          .secret_key = core::Secret(from_environment("BACKSTAY_TEST_S3_SECRET_KEY")),
          .addressing = style};
}

/// A prefix of its own, emptied afterwards.
class S3Fixture final : public testing::StoreFixture {
 public:
  explicit S3Fixture(AddressingStyle style)
      : store_(open_store(destination("test-" + context_.random.uuid() + "/", style), policy(), context_.store())) {}
  S3Fixture(const S3Fixture&) = delete;
  S3Fixture& operator=(const S3Fixture&) = delete;
  ~S3Fixture() override {
    std::vector<std::string> keys;
    store_->list("", "", [&](const ObjectInfo& info) {
      keys.push_back(info.key);
      return true;
    });
    store_->remove(keys);
  }
  Store& store() override { return *store_; }

 private:
  Context context_;
  std::unique_ptr<Store> store_;
};

class S3Live : public ::testing::Test {
 protected:
  static core::Code code_of(const DestinationConfig& config) {
    Context context;
    try {
      open_store(config, policy(), context.store())->get("missing");
    } catch (const core::Error& error) {
      return error.code();
    }
    return core::Code::kInternal;
  }
};

class ProbeAccepts final : public S3Live {
  void TestBody() override {
    Context context;
    const ProbeReport report = probe(destination("probe/", AddressingStyle::kAuto), policy(), context.store());
    EXPECT_TRUE(report.accepted());
    for (const auto& check : report.checks) EXPECT_TRUE(check.passed) << check.name << ": " << check.message;
    EXPECT_EQ(report.checks.size(), 10U);
    const auto store = open_store(destination("", AddressingStyle::kAuto), policy(), context.store());
    store->list("probe/", "", [](const ObjectInfo& info) {
      ADD_FAILURE() << "left behind: " << info.key;
      return true;
    });
  }
};

class SeesAClockThatIsWrong final : public S3Live {
  void TestBody() override {
    Context context;
    core::testing::ManualClock clock(core::SystemClock().now() + std::chrono::minutes(8));
    auto late = context.store();
    const StoreContext here{clock, late.random, late.metrics, {}};
    const ProbeReport report = probe(destination("clock/", AddressingStyle::kAuto), policy(), here);
    EXPECT_TRUE(report.accepted()) << "it works until the store refuses requests";
    const auto check = std::ranges::find(report.checks, "clock_skew", &ProbeCheck::name);
    ASSERT_NE(check, report.checks.end());
    EXPECT_FALSE(check->passed);
    EXPECT_NE(check->message.find("NTP"), std::string::npos) << check->message;
  }
};

class SaysWhatIsWrong final : public S3Live {
  void TestBody() override {
    DestinationConfig wrong_secret = destination("", AddressingStyle::kAuto);
    wrong_secret.secret_key = core::Secret("not-the-secret");
    EXPECT_EQ(code_of(wrong_secret), core::Code::kStoreAccessDenied);
    DestinationConfig wrong_key = destination("", AddressingStyle::kAuto);
    wrong_key.access_key = "NOBODY";
    EXPECT_EQ(code_of(wrong_key), core::Code::kStoreAccessDenied);
    DestinationConfig no_bucket = destination("", AddressingStyle::kAuto);
    no_bucket.url = "s3://no-such-bucket-here/";
    EXPECT_EQ(code_of(no_bucket), core::Code::kStoreNotFound);
    Context context;
    const ProbeReport report = probe(wrong_secret, policy(), context.store());
    EXPECT_FALSE(report.accepted());
    EXPECT_EQ(report.refusal, core::Code::kStoreAccessDenied);
    EXPECT_THROW(report.require_accepted(), core::Error);
  }
};

class TellsTheEffectOfVersioningAndLock final : public S3Live {
  void TestBody() override {
    Context context;
    DestinationConfig locked = destination("", AddressingStyle::kAuto);
    locked.url = "s3://" + from_environment("BACKSTAY_TEST_S3_LOCKED_BUCKET") + "/";
    const ProbeReport report = probe(locked, policy(), context.store());
    EXPECT_TRUE(report.accepted());
    ASSERT_FALSE(report.notes.empty());
    EXPECT_NE(report.notes.front().find("versioning is on"), std::string::npos) << report.notes.front();
  }
};

template <typename Test>
void register_live(const char* name) {
  ::testing::RegisterTest("S3Live", name, nullptr, nullptr, __FILE__, __LINE__, []() -> S3Live* { return new Test(); });
}

bool register_all() {
  if (from_environment("BACKSTAY_TEST_S3_ENDPOINT").empty()) return false;
  testing::register_store_conformance("S3", [] { return std::make_unique<S3Fixture>(AddressingStyle::kAuto); });
  if (!from_environment("BACKSTAY_TEST_S3_VIRTUAL_HOST").empty()) {
    testing::register_store_conformance("S3VirtualHost",
                                        [] { return std::make_unique<S3Fixture>(AddressingStyle::kVirtualHost); });
  }
  register_live<ProbeAccepts>("ProbeAccepts");
  register_live<SeesAClockThatIsWrong>("SeesAClockThatIsWrong");
  register_live<SaysWhatIsWrong>("SaysWhatIsWrong");
  register_live<TellsTheEffectOfVersioningAndLock>("TellsTheEffectOfVersioningAndLock");
  return true;
}

const bool kRegistered = register_all();

}  // namespace
}  // namespace backstay::blob
