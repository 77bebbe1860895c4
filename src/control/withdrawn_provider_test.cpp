// What can be changed of a service whose provider is not in the catalogue any more.
#include <gtest/gtest.h>

#include "control/admission.h"
#include "control/testing/control_world.h"
#include "core/error.h"

namespace backstay::control {
namespace {

using testing::ControlWorld;

TEST(WithdrawnProviderTest, NameAndProtectionAreNotTheProviders) {
  ControlWorld world;
  auto before = world.make_service();
  before.deletion_protection = true;
  const ProviderRegistry none({});
  Admission admission({*world.database, none, world.gate, world.clock, world.random});
  UpdateServiceRequest request;
  request.deletion_protection = false;
  request.name = "other";
  const auto after = admission.update(before, request).service;
  EXPECT_FALSE(after.deletion_protection);
  EXPECT_EQ(after.name, "other");
  EXPECT_EQ(after.config, before.config);

  request.name = " spaced ";
  EXPECT_THROW(admission.update(before, request), core::Error) << "names keep to their rule";
  request.name.reset();
  request.config = core::json::object{{"max_connections", "50"}};
  EXPECT_THROW(admission.update(before, request), core::Error) << "nobody is left to judge it";
}

}  // namespace
}  // namespace backstay::control
