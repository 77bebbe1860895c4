#include <gtest/gtest.h>

#include "control/testing/control_world.h"

namespace backstay::control {
namespace {

using testing::ControlWorld;

TEST(DefaultDestinationTest, EachTeamHasAPartOfTheOperatorsPlace) {
  ControlWorld world;
  CreateDestinationRequest place;
  place.team_id = 0;
  place.name = "everybody's";
  place.config = {{"endpointUrl", "https://s3.example.org"}, {"destinationPath", "s3://backups/all/"}};
  place.secrets = {{"accessKey", core::Secret("id")}, {"secretKey", core::Secret("key")}};
  place.is_default = true;
  world.commands->create_destination(place, world.admin);
  const auto others = world.commands->create_team({"others", {}}, world.admin).id;

  const auto url_of = [&](std::int64_t team, const std::string& name) {
    auto request = world.create_request(name);
    request.team_id = team;
    request.backups.emplace();
    request.backups->enabled = true;
    request.backups->config = core::json::object();
    request.backups->secrets = model::Secrets();
    const auto service = world.commands->create_service(request, world.admin).service;
    return world.queries->destination(service.backups.destination_id, world.admin).url;
  };
  EXPECT_EQ(url_of(world.team_id, "a"), "s3://backups/all/team-" + std::to_string(world.team_id));
  EXPECT_EQ(url_of(world.team_id, "b"), url_of(world.team_id, "c"));
  EXPECT_EQ(url_of(others, "d"), "s3://backups/all/team-" + std::to_string(others));
}

TEST(DefaultDestinationTest, APlaceOfATeamThatDoesNotExistIsRefused) {
  ControlWorld world;
  CreateDestinationRequest place;
  place.name = "nobody's";
  place.config = {{"endpointUrl", "https://s3.example.org"}, {"destinationPath", "s3://backups/all/"}};
  place.secrets = {{"accessKey", core::Secret("id")}, {"secretKey", core::Secret("key")}};
  for (const std::int64_t team : {world.team_id + 1, std::int64_t{-1}}) {
    place.team_id = team;
    try {
      world.commands->create_destination(place, world.admin);
      FAIL() << "team " << team << " was accepted";
    } catch (const core::Error& error) {
      ASSERT_EQ(error.fields().size(), 1U);
      EXPECT_EQ(error.fields()[0].pointer, "/teamId");
    }
  }
}

}  // namespace
}  // namespace backstay::control
