// The events of requests that were refused.
#include "api/testing/house_api.h"

namespace backstay::api::house {
namespace {

namespace json = core::json;
using testing::HouseApiTest;

class RefusedRequestsTest : public HouseApiTest {
 protected:
  json::array told() {
    return answer("GET", "/api/events?name=service.refused,recovery.refused,backup.refused").as_array();
  }
  std::string made() {
    const std::string id(create().at("id").as_string());
    world_.settle();
    return id;
  }
};

TEST_F(RefusedRequestsTest, AreEventsOfTheirService) {
  const auto id = made();
  answer("PATCH", "/managed-services/" + id, R"({"deletionProtection":true})");
  EXPECT_EQ(send("DELETE", "/managed-services/" + id + "?dryRun=true").status, 400);
  EXPECT_TRUE(told().empty()) << "a dry run leaves nothing";
  EXPECT_EQ(send("DELETE", "/managed-services/" + id).status, 400);
  ASSERT_EQ(told().size(), 1U);
  const auto event = told().at(0).as_object();
  EXPECT_EQ(event.at("eventName"), "service.refused");
  EXPECT_EQ(event.at("serviceId"), json::value(id));
  EXPECT_EQ(event.at("attributes").at("code"), "conflict");
  EXPECT_EQ(event.at("attributes").at("operation"), "managed-services-delete");
  EXPECT_EQ(event.at("attributes").at("trace.id"), json::value(std::string(32, '0')));
  EXPECT_NE(std::string(event.at("body").as_string()).find("deletionProtection false"), std::string::npos);
  EXPECT_EQ(send("POST", "/managed-services/" + id + "/backups", "{}").status, 400);
  EXPECT_EQ(told().at(0).at("eventName"), "backup.refused");
}

TEST_F(RefusedRequestsTest, AreEventsOfTheTeamWhereNothingWasMade) {
  auto body = core::parse_json(create_body()).as_object();
  body["provider"] = {{"name", "invented"}, {"version", "1"}};
  EXPECT_EQ(send("POST", "/managed-services", core::to_text(body)).status, 400);
  ASSERT_EQ(told().size(), 1U);
  EXPECT_EQ(told().at(0).at("eventName"), "service.refused");
  EXPECT_EQ(told().at(0).at("teamId"), world_.team_id);
  body["recoverFrom"] = {{"id", "00000000-0000-4000-8000-000000000000"}};
  EXPECT_EQ(send("POST", "/managed-services", core::to_text(body)).status, 400);
  EXPECT_EQ(told().at(0).at("eventName"), "recovery.refused");
}

TEST_F(RefusedRequestsTest, OfStrangersAreNone) {
  const auto id = made();
  const auto admin = token_;
  token_ = "bst_unknown";
  EXPECT_EQ(send("DELETE", "/managed-services/" + id).status, 401);
  token_ = admin;
  EXPECT_TRUE(told().empty());
}

}  // namespace
}  // namespace backstay::api::house
