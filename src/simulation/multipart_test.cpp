// Objects that are sent in parts to a store that fails: what was acknowledged is there as it was sent, and of the rest
// each is there whole or not at all, whatever arrives when.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "blob/retrying_store.h"
#include "blob/s3_store.h"
#include "blob/s3_upload.h"
#include "core/error.h"
#include "core/log.h"
#include "simulation/actor.h"
#include "simulation/settings.h"

namespace backstay::simulation {
namespace {

constexpr std::uint64_t kShares = 2;
constexpr std::uint64_t kPart = 700;

/// The S3 driver with parts smaller than stores take.
class SmallParts final : public blob::Store {
 public:
  SmallParts(std::unique_ptr<http::Transport> wire, std::unique_ptr<blob::Store> inner, core::Clock& clock)
      : wire_(std::move(wire)),
        client_(simulated_location(), {.access_key = "key", .secret_key = core::Secret("secret")}, *wire_, clock,
                std::chrono::seconds(30), {}),
        inner_(std::move(inner)) {}

  std::unique_ptr<blob::Upload> begin_upload(std::string_view key) override {
    return std::make_unique<blob::S3Upload>(client_, std::string(key), kPart);
  }
  void put(std::string_view key, core::ByteSpan content) override { inner_->put(key, content); }
  bool put_if_absent(std::string_view key, core::ByteSpan content) override {
    return inner_->put_if_absent(key, content);
  }
  std::optional<core::Bytes> get(std::string_view key) override { return inner_->get(key); }
  std::optional<core::Bytes> get_range(std::string_view key, std::uint64_t offset, std::uint64_t length) override {
    return inner_->get_range(key, offset, length);
  }
  std::optional<blob::ObjectTail> get_tail(std::string_view key, std::uint64_t length) override {
    return inner_->get_tail(key, length);
  }
  std::optional<blob::ObjectInfo> head(std::string_view key) override { return inner_->head(key); }
  void list(std::string_view prefix, std::string_view after,
            const std::function<bool(const blob::ObjectInfo&)>& each) override {
    inner_->list(prefix, after, each);
  }
  void remove(std::span<const std::string> keys) override { inner_->remove(keys); }
  [[nodiscard]] blob::StoreFeatures features() const override { return inner_->features(); }
  [[nodiscard]] std::string description() const override { return inner_->description(); }

 private:
  const std::unique_ptr<http::Transport> wire_;
  blob::S3Client client_;
  const std::unique_ptr<blob::Store> inner_;
};

class MultipartTest : public ::testing::TestWithParam<std::uint64_t> {
 protected:
  MultipartTest() { core::set_log_level(core::LogLevel::kError); }

  void run(std::uint64_t seed) {
    Outside outside(seed);
    Dice& dice = outside.dice;
    const auto rate = [&] { return dice.chance(500) ? static_cast<unsigned>(dice.between(1, 150)) : 0U; };
    outside.store.rates = {.refuse = rate(),
                           .fail_after = rate(),
                           .reset = rate(),
                           .lose_answer = rate(),
                           .late = rate(),
                           .twice = rate()};
    for (int number = 0; number < 8; ++number) send(outside, fmt::format("object-{}", number));
    outside.store.rates = {};
    outside.time.now += std::chrono::hours(1);
    outside.store.arrive(outside.time);
    for (const auto& [key, sent] : sent_) {
      const Bucket::Object* const object = outside.store.bucket.find(key);
      if (object == nullptr) {
        EXPECT_FALSE(sent.acknowledged) << "seed " << seed << ": " << key << " is gone";
      } else {
        EXPECT_EQ(core::as_text(*object->content), core::as_text(sent.content)) << "seed " << seed << ": " << key;
      }
    }
    sent_.clear();
  }

 private:
  struct Sent {
    core::Bytes content = {};
    bool acknowledged = false;
  };

  void send(Outside& outside, const std::string& key) {
    Actor actor(outside, "sender");
    if (outside.dice.chance(300)) actor.process.dies_at = outside.dice.between(1, 15);
    actor.process.dies_after = outside.dice.chance(500);
    SeededRandom retry_random(outside.dice.number());
    const blob::StoreContext context{.clock = actor.clock, .random = retry_random};
    auto wire = open_simulated_wire(outside.store, outside.turns, outside.dice, outside.time, actor.process);
    auto plain =
        std::make_unique<SmallParts>(std::move(wire),
                                     open_simulated_store(outside.store, outside.turns, outside.dice, outside.time,
                                                          actor.process, actor.clock, retry_random),
                                     actor.clock);
    blob::RetryingStore store(std::move(plain), blob::StorePolicy().retry, context);
    Sent& sent = sent_[key];
    sent.content = actor.random.bytes(outside.dice.below(6 * kPart));
    const auto work = [&] {
      try {
        const auto upload = store.begin_upload(key);
        for (std::size_t at = 0; at < sent.content.size();) {
          const std::size_t count = std::min<std::size_t>(outside.dice.between(1, 2 * kPart), sent.content.size() - at);
          upload->append(core::ByteSpan(sent.content).subspan(at, count));
          at += count;
        }
        upload->finish();
        sent.acknowledged = !actor.process.dead;
      } catch (const core::Error& error) {
        EXPECT_NE(error.code(), core::Code::kInternal) << error.what();
      }
    };
    outside.turns.run({{.process = &actor.process, .work = work}});
  }

  std::map<std::string, Sent> sent_;
};

TEST_P(MultipartTest, AnObjectIsWholeOrNotThere) {
  const std::uint64_t seeds = setting("BACKSTAY_SIMULATION_DISK_SEEDS", 60);
  for (std::uint64_t seed = first_seed() + GetParam(); seed < first_seed() + seeds && !HasFailure(); seed += kShares) {
    run(seed);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, MultipartTest, ::testing::Range(std::uint64_t{0}, kShares));

}  // namespace
}  // namespace backstay::simulation
