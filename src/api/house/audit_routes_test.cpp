#include "api/testing/house_api.h"
#include "core/text.h"

namespace backstay::api::house {
namespace {

namespace json = core::json;
using testing::HouseApiTest;

class AuditRoutesTest : public HouseApiTest {
 protected:
  json::array audit(const std::string& filters = "") { return answer("GET", "/api/audit" + filters).as_array(); }
  static std::string text(const json::value& entry, std::string_view key) {
    return std::string(entry.at(key).as_string());
  }
};

TEST_F(AuditRoutesTest, KeepsWhoDidWhat) {
  auto asked = request("POST", "/managed-services", create_body());
  asked.headers.set("X-Request-Id", "mine\n1");
  const auto made = core::parse_json(send(asked).body);
  const auto entry = audit().at(0);
  EXPECT_EQ(text(entry, "method") + text(entry, "path"), "POST/managed-services");
  EXPECT_EQ(text(entry, "operation"), "managed-services-create");
  EXPECT_EQ(text(entry, "objectId"), made.at("id").as_string());
  EXPECT_EQ(entry.at("status"), 200);
  EXPECT_EQ(entry.at("token").at("id"), json::string(caller_of_admin()));
  EXPECT_EQ(text(entry, "client"), "192.0.2.7");
  EXPECT_EQ(text(entry, "requestId"), "mine?1");
  EXPECT_EQ(text(entry, "traceId"), asked.trace_id);
  EXPECT_EQ(core::to_text(entry).find("not-to-be-shown"), std::string::npos);
}

TEST_F(AuditRoutesTest, KeepsWhatWasRefused) {
  const auto service = create();
  const auto id = std::string(service.at("id").as_string());
  const auto admin = token_;
  token_ = make_token({"read"}, true);
  const auto reader = caller_of_admin();
  EXPECT_EQ(send("DELETE", "/managed-services/" + id + "?finalBackup=skip").status, 401);
  token_ = "bst_unknown";
  EXPECT_EQ(send("POST", "/teams", R"({"name":"x"})").status, 401);
  token_ = admin;
  EXPECT_EQ(send("POST", "/teams", R"({"name":""})").status, 400);
  const auto refused = audit("?refused=true");
  ASSERT_EQ(refused.size(), 3u);
  EXPECT_EQ(text(refused[0], "code"), "invalid_argument");
  EXPECT_EQ(text(refused[1], "code"), "unauthenticated");
  EXPECT_FALSE(refused[1].as_object().contains("token"));
  EXPECT_EQ(text(refused[2], "code"), "forbidden");
  EXPECT_EQ(text(refused[2], "objectId"), id);
  EXPECT_EQ(text(refused[2].at("parameters"), "finalBackup"), "skip");
  EXPECT_EQ(audit("?tokenId=" + reader).size(), 1u);
}

TEST_F(AuditRoutesTest, LeavesReadingOut) {
  const auto before = audit().size();
  answer("GET", "/managed-services");
  send("GET", "/managed-services/none");
  EXPECT_EQ(audit().size(), before);
}

TEST_F(AuditRoutesTest, FiltersAndPages) {
  const auto id = std::string(create("one").at("id").as_string());
  create("two");
  answer("DELETE", "/managed-services/" + id);
  EXPECT_EQ(audit("?objectId=" + id).size(), 2u);
  EXPECT_EQ(audit("?operation=managed-services-create").size(), 2u);
  EXPECT_EQ(audit("?since=2027-01-01T00:00:00Z").size(), 0u);
  EXPECT_EQ(audit("?until=2027-01-01T00:00:00Z").size(), 3u);
  const auto first = send("GET", "/api/audit?limit=2");
  const auto next = first.headers.find("X-Next-Page-Token");
  ASSERT_TRUE(next);
  const auto last = audit("?limit=2&page_token=" + core::url_encode(*next));
  ASSERT_EQ(last.size(), 1u);
  EXPECT_EQ(text(last[0], "objectId"), id);
}

TEST_F(AuditRoutesTest, IsForAdministrators) {
  token_ = make_token({"write"}, true);
  EXPECT_EQ(send("GET", "/api/audit").status, 403);
}

TEST_F(AuditRoutesTest, NeverShowsWhatATokenIs) {
  const auto made = answer("POST", "/tokens", R"({"name":"ci","role":"viewer","teamIds":[]})");
  const auto entry = audit("?operation=tokens-create").at(0);
  EXPECT_EQ(text(entry, "objectId"), made.at("id").as_string());
  EXPECT_EQ(core::to_text(entry).find(made.at("token").as_string()), std::string::npos);
}

}  // namespace
}  // namespace backstay::api::house
