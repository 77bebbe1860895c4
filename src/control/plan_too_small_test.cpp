// A plan may be made smaller, but not smaller than the data.
#include <gtest/gtest.h>

#include "control/testing/control_world.h"
#include "core/error.h"

namespace backstay::control {
namespace {

using testing::ControlWorld;

class PlanTooSmallTest : public ::testing::Test {
 protected:
  PlanTooSmallTest() : id_(world_.make_service().id) { measure(4); }
  /// GiB of data, as the reconciler sees them.
  void measure(std::uint64_t gib) {
    world_.provider->set_storage_used(world_.service(id_).status.instance_id, gib << 30);
    world_.clock.advance(std::chrono::minutes(5));
    world_.settle();
  }
  static UpdateServiceRequest plan_of(std::int64_t storage) {
    UpdateServiceRequest request;
    request.plan = {1, {{"storage", storage}}};
    return request;
  }
  void ask_for(std::int64_t storage) {
    world_.commands->update_service(id_, plan_of(storage), world_.admin);
    world_.settle();
  }
  void expect_refused(std::int64_t storage, bool dry_run = false) {
    try {
      if (dry_run) {
        world_.commands->preview_update(id_, plan_of(storage), world_.admin);
      } else {
        ask_for(storage);
      }
      ADD_FAILURE() << "it was not refused";
    } catch (const core::Error& error) {
      EXPECT_EQ(error.code(), core::Code::kPlanTooSmall) << error.message();
      ASSERT_EQ(error.fields().size(), 1U);
      EXPECT_EQ(error.fields().front().pointer, "/plan/parameters/storage");
    }
  }
  std::int64_t storage() { return world_.service(id_).plan.parameters.at("storage"); }

  ControlWorld world_;
  std::string id_;
};

TEST_F(PlanTooSmallTest, APlanThatIsSmallerThanTheDataIsRefused) {
  expect_refused(3);
  expect_refused(3, true);
  EXPECT_EQ(storage(), 10);
  ask_for(5);
  EXPECT_EQ(storage(), 5);
}

TEST_F(PlanTooSmallTest, WhatWasMeasuredLastCounts) {
  measure(8);
  expect_refused(7);
  measure(2);
  ask_for(3);
  EXPECT_EQ(storage(), 3);
}

TEST_F(PlanTooSmallTest, AServiceThatIsFullAlreadyMayGrow) {
  measure(20);
  ask_for(10);
  ask_for(12);
  EXPECT_EQ(storage(), 12);
  expect_refused(11);
}

TEST_F(PlanTooSmallTest, APausedServiceStillHasItsData) {
  UpdateServiceRequest pause;
  pause.pause = true;
  world_.commands->update_service(id_, pause, world_.admin);
  world_.settle();
  expect_refused(3);
}

}  // namespace
}  // namespace backstay::control
