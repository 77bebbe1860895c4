// The directory store on a disk that gets full, fails and loses power: what it promises is what the repository rests
// on.
#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "blob/directory_store.h"
#include "core/error.h"
#include "postgres/testing/test_cluster.h"
#include "simulation/actor.h"
#include "simulation/failing_calls.h"
#include "simulation/settings.h"
#include "simulation/simulated_disk.h"

namespace backstay::simulation {
namespace {

using Value = std::optional<core::Bytes>;

constexpr std::uint64_t kShares = 2;

/// What each object may be: one thing where a call has answered, two where the last one failed.
class DiskTest : public ::testing::TestWithParam<std::uint64_t> {
 protected:
  void run(std::uint64_t seed) {
    random_ = std::make_unique<SeededRandom>(seed);
    Dice dice(seed);
    const postgres::testing::TemporaryDirectory place;
    SimulatedDisk disk(dice, place.path());
    allowed_.clear();
    for (int life = 0; life < 6; ++life) {
      disk.fail(dice.chance(400) ? static_cast<unsigned>(dice.between(1, 120)) : 0);
      blob::DirectoryStore store(disk.root(), clock_, *random_);
      if (dice.chance(800)) disk.die_at(dice.between(1, 90));
      for (int call = 0; call < 12 && !disk.dead(); ++call) {
        act(dice, store);
        if (!disk.dead()) check(store, fmt::format("seed {}, life {}, call {}", seed, life, call));
      }
      disk.lose_power();
      disk.fail(0);
      blob::DirectoryStore after(disk.root(), clock_, *random_);
      check(after, fmt::format("seed {}, after the power was lost in life {}", seed, life));
      for (auto& [key, values] : allowed_) values = {after.get(key)};  // What is on the disk now stays there.
      if (HasFailure()) return;
    }
  }

 private:
  void act(Dice& dice, blob::Store& store) {
    const std::string key = fmt::format("{}/{}", dice.below(3), dice.below(4));
    core::Bytes content(dice.below(3000));
    random_->fill(content);
    const std::set<Value> before = allowed(key);
    const auto kind = dice.below(5);
    const Value wanted = kind == 4 ? Value() : Value(content);
    try {
      switch (kind) {
        case 0:
        case 1: store.put(key, content); break;
        case 2: {
          const auto upload = store.begin_upload(key);
          upload->append(core::ByteSpan(content).first(content.size() / 2));
          upload->append(core::ByteSpan(content).subspan(content.size() / 2));
          upload->finish();
          break;
        }
        case 3:
          if (!store.put_if_absent(key, content)) return;
          break;
        default: store.remove(std::vector<std::string>{key}); break;
      }
      allowed_[key] = {wanted};
    } catch (const core::Error&) {
      allowed_[key] = before;
      allowed_[key].insert(wanted);
    }
  }

  std::set<Value>& allowed(const std::string& key) {
    return allowed_.try_emplace(key, std::set<Value>{Value()}).first->second;
  }

  void check(blob::Store& store, const std::string& when) {
    std::set<std::string> listed;
    store.list("", "", [&](const blob::ObjectInfo& object) {
      listed.insert(object.key);
      return true;
    });
    for (const auto& [key, values] : allowed_) {
      const Value value = store.get(key);
      EXPECT_TRUE(values.contains(value)) << when << ": '" << key << "' is neither what it was nor what it was to be";
      EXPECT_EQ(listed.contains(key), value.has_value()) << when << ": '" << key << "' is listed wrongly";
    }
  }

  core::SystemClock clock_;
  std::unique_ptr<SeededRandom> random_;
  std::map<std::string, std::set<Value>> allowed_;
};

TEST_P(DiskTest, AnObjectIsWhatItWasOrWhatItWasToBe) {
  const std::uint64_t seeds = setting("BACKSTAY_SIMULATION_DISK_SEEDS", 60);
  for (std::uint64_t seed = first_seed() + GetParam(); seed < first_seed() + seeds && !HasFailure(); seed += kShares) {
    run(seed);
  }
}

/// That it is gone says the disk to whoever looks; that it stays so only when the directory was synced.
TEST(RemovalTest, WhatIsRemovedAtTheSecondAttemptStaysSo) {
  core::SystemClock clock;
  for (std::uint64_t seed = first_seed(); seed < first_seed() + 20; ++seed) {
    SeededRandom random(seed);
    Dice dice(seed);
    const postgres::testing::TemporaryDirectory place;
    SimulatedDisk disk(dice, place.path());
    const std::vector<std::string> keys{"a/b"};
    blob::DirectoryStore store(disk.root(), clock, random);
    store.put(keys[0], core::as_bytes("x"));
    {
      FailingCalls failing(dice, disk.root(), "/none");
      failing.fail_at(1);
      EXPECT_THROW(store.remove(keys), core::Error);
    }
    store.remove(keys);
    disk.lose_power();
    EXPECT_FALSE(blob::DirectoryStore(disk.root(), clock, random).head(keys[0])) << "seed " << seed;
  }
}

TEST(ConditionalPutTest, WhatIsSaidToBeThereStaysSo) {
  core::SystemClock clock;
  for (std::uint64_t seed = first_seed(); seed < first_seed() + 20; ++seed) {
    SeededRandom random(seed);
    Dice dice(seed);
    const postgres::testing::TemporaryDirectory place;
    SimulatedDisk disk(dice, place.path());
    blob::DirectoryStore store(disk.root(), clock, random);
    store.put("a/b", core::as_bytes("y"));
    {
      FailingCalls failing(dice, disk.root(), "/none");
      failing.fail_at(2);  // the sync of the name, after that of the file
      EXPECT_THROW(store.put_if_absent("a/c", core::as_bytes("x")), core::Error);
    }
    EXPECT_FALSE(store.put_if_absent("a/c", core::as_bytes("x")));
    disk.lose_power();
    EXPECT_TRUE(blob::DirectoryStore(disk.root(), clock, random).head("a/c")) << "seed " << seed;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, DiskTest, ::testing::Range(std::uint64_t{0}, kShares));

}  // namespace
}  // namespace backstay::simulation
