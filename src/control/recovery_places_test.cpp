#include "control/recovery_places.h"

#include <gtest/gtest.h>

#include "control/testing/control_world.h"
#include "core/error.h"
#include "metadata/instances.h"

namespace backstay::control {
namespace {

using testing::ControlWorld;

/// A service that was deleted and brought back an hour later: two instances.
class RecoveryPlacesTest : public ::testing::Test {
 protected:
  RecoveryPlacesTest() {
    id_ = world_.make_service(true).id;
    world_.settle();
    begin_ = world_.clock.now();
    world_.clock.advance(std::chrono::hours(10));
    world_.commands->delete_service(id_, FinalBackup::kRequired, world_.admin);
    world_.settle();
    deleted_ = world_.clock.now();
    world_.clock.advance(std::chrono::hours(1));
    world_.commands->undelete_service(id_, world_.admin);
    world_.settle();
    back_ = world_.clock.now();
    const auto instances =
        world_.database->read([&](auto& tx) { return metadata::Instances(tx).list_of_service(id_); });
    first_ = instances.front().id;
    second_ = instances.back().id;
    // The first one's archive goes on after the service left it.
    world_.provider->set_window_of_instance({.instance_id = first_, .earliest = begin_, .latest = back_});
    world_.provider->set_window_of_instance({.instance_id = second_});
  }
  void open_second() {
    world_.clock.advance(std::chrono::hours(3));
    world_.provider->set_window_of_instance(
        {.instance_id = second_, .earliest = back_ + std::chrono::hours(1), .latest = world_.clock.now()});
  }
  std::string chosen(const std::optional<core::Timestamp>& time) {
    const auto places = world_.database->read([&](auto& tx) { return recovery_places(tx, world_.service(id_)); });
    EXPECT_EQ(places.size(), 2U);
    return choose_place(*world_.registry, places, time).body.instance.id;
  }
  std::string refusal(core::Timestamp time) {
    try {
      return "chosen: " + chosen(time);
    } catch (const core::Error& error) {
      EXPECT_EQ(error.code(), core::Code::kRecoveryOutOfReach);
      return error.message();
    }
  }

  ControlWorld world_;
  std::string id_, first_, second_;
  core::Timestamp begin_, deleted_, back_;
};

TEST_F(RecoveryPlacesTest, ATimeMeansTheInstanceThatServedThen) {
  open_second();
  EXPECT_NE(first_, second_);
  EXPECT_EQ(chosen(begin_ + std::chrono::hours(1)), first_);
  EXPECT_EQ(chosen(back_ + std::chrono::hours(2)), second_);
  EXPECT_EQ(chosen(std::nullopt), second_);
}

TEST_F(RecoveryPlacesTest, ATimeWithoutAnInstanceIsRefusedWithTheNearestOfBoth) {
  open_second();
  const auto message = refusal(deleted_ + std::chrono::minutes(30));
  EXPECT_NE(message.find(core::format_time(deleted_)), std::string::npos) << message;
  EXPECT_NE(message.find(core::format_time(back_ + std::chrono::hours(1))), std::string::npos) << message;
}

TEST_F(RecoveryPlacesTest, TheLatestIsTheOldInstancesUntilTheNewOneHasABackup) {
  EXPECT_EQ(chosen(std::nullopt), first_);
  auto request = world_.create_request("copy");
  request.recover_from.emplace();
  request.recover_from->service_id = id_;
  const auto forecast = [&] {
    const auto change = world_.commands->create_service(request, world_.admin, Effect::kDryRun);
    return core::to_text(core::require_object(change.operation->request, "forecast"));
  };
  EXPECT_NE(forecast().find(first_), std::string::npos);
  EXPECT_NE(forecast().find("has no backup yet"), std::string::npos);
  open_second();
  EXPECT_NE(forecast().find(second_), std::string::npos);
  EXPECT_EQ(forecast().find("has no backup yet"), std::string::npos);
}

TEST_F(RecoveryPlacesTest, ATimeThatHasJustPassedIsLeftToTheProvider) {
  world_.clock.advance(std::chrono::hours(1));
  EXPECT_EQ(chosen(world_.clock.now()), second_);
}

TEST_F(RecoveryPlacesTest, TheWindowIsThatOfAllInstancesCutToTheirService) {
  open_second();
  const auto windows = world_.queries->recovery_windows(id_, world_.admin);
  ASSERT_EQ(windows.size(), 2U);
  EXPECT_EQ(windows[0].instance_id, second_);
  EXPECT_EQ(windows[1].latest, deleted_);
  const auto all = model::union_of(windows);
  EXPECT_EQ(all.earliest, begin_);
  ASSERT_EQ(all.gaps.size(), 1U);
  EXPECT_EQ(all.gaps[0].from, deleted_);
  EXPECT_EQ(all.gaps[0].to, back_ + std::chrono::hours(1));
}

}  // namespace
}  // namespace backstay::control
