// What a request is told of a store that it names: every fault at once, each at its place in the request.
#include <gtest/gtest.h>

#include <set>

#include "control/refusals.h"
#include "control/testing/control_world.h"

namespace backstay::control {
namespace {

using core::Code;
using testing::ControlWorld;

model::Destination bucket() {
  model::Destination destination;
  destination.url = "s3://bucket/";
  destination.endpoint_url = "http://127.0.0.1:1";
  return destination;
}

std::multiset<std::string> pointers(const core::Error& error) {
  std::multiset<std::string> found;
  for (const auto& field : error.fields()) found.insert(field.pointer);
  return found;
}

core::Error error_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const core::Error& error) {
    return error;
  }
  ADD_FAILURE() << "nothing was refused";
  return {Code::kInternal, ""};
}

TEST(StoreRefusalsTest, NameTheirPlaceInTheRequest) {
  const auto faults = core::Error(Code::kInvalidArgument, "no")
                          .with_field("/destinationPath", "a")
                          .with_field("/endpointUrl", "b")
                          .with_field("/accessKey", "c")
                          .with_field("/secretKey", "d");
  EXPECT_EQ(pointers(at_place(faults, bucket(), "/backups")),
            (std::multiset<std::string>{"/backups/config/destinationPath", "/backups/config/endpointUrl",
                                        "/backups/secrets/accessKey", "/backups/secrets/secretKey"}));
  const auto place = [](Code code) {
    return *pointers(at_place(core::Error(code, "no").with_hint("do this"), bucket(), "/recoverFrom")).begin();
  };
  EXPECT_EQ(place(Code::kPathNotAllowed), "/recoverFrom/config/destinationPath");
  EXPECT_EQ(place(Code::kStoreNotFound), "/recoverFrom/config/destinationPath");
  EXPECT_EQ(place(Code::kStoreUnreachable), "/recoverFrom/config/endpointUrl");
  EXPECT_EQ(place(Code::kEgressRefused), "/recoverFrom/config/endpointUrl");
  EXPECT_EQ(place(Code::kStoreAccessDenied), "/recoverFrom/secrets/secretKey");
  const auto placed = at_place(core::Error(Code::kStoreNotFound, "gone").with_hint("do this"), bucket(), "");
  EXPECT_EQ(placed.code(), Code::kStoreNotFound);
  EXPECT_EQ(placed.message(), "gone");
  EXPECT_EQ(placed.hint(), "do this");
  EXPECT_TRUE(at_place(core::Error(Code::kCancelled, "stopped"), bucket(), "").fields().empty());
}

TEST(StoreRefusalsTest, AllFaultsOfARequestComeAtOnceAndOnce) {
  ControlWorld world;
  auto request = world.create_request();
  request.name = "a/b";
  request.backups = world.backups_request();
  request.backups->interval_hours = 0;
  request.backups->config = core::json::object{{"destinationPath", "s3://bucket/"}, {"endpointUrl", "nowhere"}};
  request.backups->secrets = model::Secrets{};
  const auto error = error_of([&] { world.commands->create_service(request, world.admin); });
  EXPECT_EQ(error.code(), Code::kInvalidArgument);
  const auto named = pointers(error);
  for (const std::string pointer : {"/name", "/backups/intervalH", "/backups/config/endpointUrl",
                                    "/backups/secrets/accessKey", "/backups/secrets/secretKey"}) {
    EXPECT_EQ(named.count(pointer), 1U) << pointer;
  }
}

TEST(StoreRefusalsTest, AChangeIsJudgedTheSameWay) {
  ControlWorld world;
  const auto service = world.make_service();
  UpdateServiceRequest request;
  request.name = "a/b";
  request.backups = world.backups_request();
  request.backups->config = core::json::object{{"destinationPath", "s3://bucket/"}, {"endpointUrl", "nowhere"}};
  const auto named = pointers(error_of([&] { world.commands->update_service(service.id, request, world.admin); }));
  EXPECT_EQ(named.count("/name"), 1U);
  EXPECT_EQ(named.count("/backups/config/endpointUrl"), 1U);
}

TEST(RefusalsTest, WhatOneCheckFoundAnotherDoesNotFindAgain) {
  Refusals refusals;
  const auto refuse = [&](const std::string& pointer, const std::string& message) {
    refusals.check([&] {
      throw core::Error(Code::kInvalidArgument, message).with_field(pointer, message).with_field(pointer, "and more");
    });
  };
  EXPECT_TRUE(refusals.empty());
  refuse("/a", "first");
  refuse("/a", "the same in other words");
  refuse("/b", "second");
  const auto error = error_of([&] { refusals.raise(); });
  EXPECT_EQ(pointers(error), (std::multiset<std::string>{"/a", "/a", "/b", "/b"}));
  EXPECT_EQ(error.message(), "first (and 1 more)");
}

}  // namespace
}  // namespace backstay::control
