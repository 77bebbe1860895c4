#include "api/testing/house_api.h"

namespace backstay::api::house {
namespace {

namespace json = core::json;
using testing::HouseApiTest;

class ScheduleRoutesTest : public HouseApiTest {
 protected:
  ScheduleRoutesTest() : service_(world_.make_service(true).id) {}
  json::object make(const std::string& more = R"("cron":"0 2 * * *","timeZone":"Europe/Berlin","retentionCount":7)") {
    return answer("POST", "/api/schedules", fmt::format(R"({{"serviceId":"{}",{}}})", service_, more)).as_object();
  }
  static std::string path_of(const json::object& object) {
    return "/api/schedules/" + std::string(object.at("id").as_string());
  }

  std::string service_;
};

TEST_F(ScheduleRoutesTest, ShowsWhatItIsAndWhatComes) {
  const auto made = make();
  EXPECT_EQ(made.at("name"), "0 2 * * * Europe/Berlin");
  EXPECT_EQ(made.at("retentionCount"), 7);
  EXPECT_EQ(made.at("nextRuns").as_array().size(), 5u);
  EXPECT_FALSE(made.contains("intervalH") || made.contains("retentionDays") || made.contains("destinationId"));
  EXPECT_EQ(answer("GET", path_of(made)), json::value(made));
  EXPECT_EQ(answer("GET", "/api/schedules?serviceId=" + service_).as_array().size(), 1u);
  EXPECT_EQ(answer("GET", fmt::format("/api/schedules?team={}", world_.team_id)).at(0), json::value(made));
  EXPECT_EQ(answer("GET", "/api/schedules?team=99").as_array().size(), 0u);
  EXPECT_EQ(send("GET", "/api/schedules?serviceId=00000000-0000-0000-0000-000000000000").status, 404);
}

TEST_F(ScheduleRoutesTest, ChangesRunsAndDeletes) {
  const auto path = path_of(make());
  auto changed = answer("PATCH", path, R"({"intervalH":6,"retentionCount":null,"retentionDays":30,"enabled":false})");
  EXPECT_EQ(changed.at("intervalH"), 6);
  EXPECT_EQ(changed.at("retentionDays"), 30);
  EXPECT_EQ(changed.at("nextRuns").as_array().size(), 0u);
  EXPECT_FALSE(changed.as_object().contains("cron") || changed.as_object().contains("retentionCount"));
  const auto backup = answer("POST", path + "/run");
  EXPECT_EQ(path_of({{"id", backup.at("scheduleId")}}), path);
  world_.settle();
  const auto last = answer("GET", path).at("lastRun");
  EXPECT_EQ(last.at("backupId"), backup.at("id"));
  EXPECT_EQ(last.at("outcome"), "completed");
  EXPECT_EQ(answer("DELETE", path + "?dryRun=true").at("dryRun"), true);
  answer("DELETE", path);
  EXPECT_EQ(send("GET", path).status, 404);
  EXPECT_EQ(send("POST", path + "/run").status, 404);
}

TEST_F(ScheduleRoutesTest, ChangesOnlyWhatTheClientHasSeen) {
  auto change = request("PATCH", path_of(make()), R"({"name":"other"})");
  change.headers.set("If-Match", send("GET", change.path).headers.find("ETag").value());
  world_.clock.advance(std::chrono::hours(50));
  world_.settle();
  EXPECT_EQ(send(change).status, 200) << "that it has run since is no change of its owner's";
  EXPECT_EQ(send(change).status, 412);
}

TEST_F(ScheduleRoutesTest, RefusesByPointer) {
  const auto refused = [&](const std::string& more) {
    const auto response = send("POST", "/api/schedules", fmt::format(R"({{"serviceId":"{}",{}}})", service_, more));
    EXPECT_EQ(response.status, 400) << response.body;
    return core::parse_json(response.body).at("errors").at(0).at("pointer");
  };
  EXPECT_EQ(refused(R"("cron":"0 0 30 2 *")"), "/cron");
  EXPECT_EQ(refused(R"("cron":"@daily","timeZone":"Berlin")"), "/timeZone");
  EXPECT_EQ(refused(R"("cron":"@daily","retentionCount":0)"), "/retentionCount");
  EXPECT_EQ(refused(R"("cron":"@daily","mechanism":"magic")"), "/mechanism");
  EXPECT_EQ(answer("GET", "/api/schedules").as_array().size(), 0u);
}

TEST_F(ScheduleRoutesTest, ARepeatedRequestMakesOneSchedule) {
  auto twice = request("POST", "/api/schedules", fmt::format(R"({{"serviceId":"{}","cron":"@daily"}})", service_));
  twice.headers.set("Idempotency-Key", "nightly-1");
  const auto first = send(twice);
  EXPECT_EQ(first.status, 200);
  EXPECT_EQ(send(twice).body, first.body);
  EXPECT_EQ(answer("GET", "/api/schedules").as_array().size(), 1u);
}

}  // namespace
}  // namespace backstay::api::house
