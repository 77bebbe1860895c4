#include "control/companion_supervisor.h"

#include <atomic>
#include <condition_variable>
#include <mutex>

#include <gtest/gtest.h>

#include "control/testing/control_world.h"

namespace backstay::control {
namespace {

using testing::ControlWorld;

constexpr auto kLongEnough = std::chrono::seconds(30);

/// A companion that does not end when it is told to, as one whose store hangs, but when the test lets it.
class Stubborn {
 public:
  Companion companion(std::string fingerprint) {
    return {"stubborn", std::move(fingerprint), [this](const std::stop_token& stop, std::int64_t, CompanionReporter&) {
              std::unique_lock lock(mutex_);
              ++runs_;
              changed_.notify_all();
              changed_.wait(lock, [&] { return let_go_; });
              changed_.wait(lock, stop, [] { return false; });
              --runs_;
            }};
  }
  bool wait_until_it_runs() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kLongEnough, [&] { return runs_ > 0; });
  }
  void let_go() {
    const std::lock_guard lock(mutex_);
    let_go_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable_any changed_;
  int runs_ = 0;
  bool let_go_ = false;
};

struct CompanionSupervisorTest : ::testing::Test {
  ~CompanionSupervisorTest() override {
    stubborn.let_go();
    world.companions->stop_all();
  }

  Stubborn stubborn;
  ControlWorld world;
  model::Service service = world.make_service();
  std::string instance = service.status.instance_id;

  bool reconcile(const std::vector<Companion>& wanted) {
    return world.companions->reconcile(service.id, instance, wanted);
  }
  bool settles(const std::vector<Companion>& wanted) {
    const auto deadline = std::chrono::steady_clock::now() + kLongEnough;
    while (std::chrono::steady_clock::now() < deadline) {
      if (reconcile(wanted)) return true;
      std::this_thread::yield();
    }
    return false;
  }
};

TEST_F(CompanionSupervisorTest, DoesNotWaitForOneThatTakesItsTimeToEnd) {
  EXPECT_TRUE(reconcile({stubborn.companion("a")}));
  ASSERT_TRUE(stubborn.wait_until_it_runs());
  EXPECT_FALSE(reconcile({}));
  EXPECT_FALSE(world.companions->release(service.id));
  stubborn.let_go();
  EXPECT_TRUE(settles({}));
  EXPECT_TRUE(world.companions->release(service.id));
}

TEST_F(CompanionSupervisorTest, StartsTheSuccessorOnceThePredecessorHasEnded) {
  reconcile({stubborn.companion("a")});
  ASSERT_TRUE(stubborn.wait_until_it_runs());
  std::atomic<bool> predecessor_ran = true;
  std::atomic<bool> overlapped = false;
  std::atomic<bool> began = false;
  const Companion successor{"stubborn", "b", [&](const std::stop_token& stop, std::int64_t, CompanionReporter&) {
                              overlapped = predecessor_ran.load();
                              began = true;
                              world.clock.wait(stop, std::chrono::hours(1));
                            }};
  EXPECT_FALSE(reconcile({successor}));
  EXPECT_FALSE(reconcile({successor}));
  predecessor_ran = false;
  stubborn.let_go();
  EXPECT_TRUE(settles({successor}));
  world.companions->stop_all();
  EXPECT_FALSE(overlapped);
}

TEST_F(CompanionSupervisorTest, StartsOneAnewThatWasToldToEndAndIsWantedAgain) {
  reconcile({stubborn.companion("a")});
  ASSERT_TRUE(stubborn.wait_until_it_runs());
  EXPECT_FALSE(reconcile({}));
  EXPECT_FALSE(reconcile({stubborn.companion("a")}));
  stubborn.let_go();
  EXPECT_TRUE(settles({stubborn.companion("a")}));
  EXPECT_TRUE(stubborn.wait_until_it_runs());
}

/// What is called cannot be handed to a thread while `fails`, as when the machine has no more of them.
struct Unstartable {
  explicit Unstartable(const bool& wanted) : fails(&wanted) {}
  Unstartable(const Unstartable& other) : fails(other.fails) {
    if (*fails) throw core::Error(core::Code::kUnavailable, "no thread can be made");
  }
  Unstartable(Unstartable&&) = default;
  Unstartable& operator=(const Unstartable&) = delete;
  Unstartable& operator=(Unstartable&&) = delete;
  ~Unstartable() = default;
  void operator()(const std::stop_token&, std::int64_t, CompanionReporter&) const {}

  const bool* fails;
};

TEST_F(CompanionSupervisorTest, WhatCouldNotBeStartedIsStartedAtTheNextLook) {
  bool fails = false;
  std::vector<Companion> wanted;
  wanted.push_back({"stubborn", "a", Unstartable(fails)});
  fails = true;
  EXPECT_THROW(reconcile(wanted), core::Error);
  fails = false;
  EXPECT_TRUE(reconcile({stubborn.companion("a")}));
  EXPECT_TRUE(stubborn.wait_until_it_runs());
}

TEST_F(CompanionSupervisorTest, StartsNothingForWhatIsRetired) {
  world.companions->retire(instance);
  EXPECT_TRUE(reconcile({stubborn.companion("a")}));
  EXPECT_TRUE(world.companions->release(service.id));
  reconcile({stubborn.companion("a")});
  EXPECT_TRUE(reconcile({}));
}

}  // namespace
}  // namespace backstay::control
