#include "api/house/request_parts.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace backstay::api::house {
namespace {

http::Request query(std::vector<std::pair<std::string, std::string>> values) {
  http::Request request;
  request.query = std::move(values);
  return request;
}

template <typename Read>
core::Code code_of(Read read) {
  try {
    static_cast<void>(read());
  } catch (const core::Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "did not throw";
  return core::Code::kInternal;
}

TEST(RequestPartsTest, TakesTeamAndItsAlias) {
  EXPECT_EQ(query_team(query({{"team", "3"}})), 3);
  EXPECT_EQ(query_team(query({{"teamId", "4"}})), 4);
  EXPECT_EQ(query_team(query({})), std::nullopt);
}

TEST(RequestPartsTest, ReadsFlags) {
  EXPECT_FALSE(query_flag(query({}), "includeDeleted", false));
  EXPECT_TRUE(query_flag(query({{"includeDeleted", "true"}}), "includeDeleted", false));
  EXPECT_FALSE(query_flag(query({{"includeDeleted", "false"}}), "includeDeleted", true));
}

TEST(RequestPartsTest, SaysNotFoundForAnIdThatIsNone) {
  http::Request request;
  request.params["id"] = "YOUR_SERVICE_ID";
  EXPECT_EQ(code_of([&] { return path_uuid(request, "managed service"); }), core::Code::kNotFound);
  EXPECT_EQ(code_of([&] { return path_team(request); }), core::Code::kNotFound);
  request.params["id"] = "6F1C7C4E-6F0E-4A8E-9A53-0F8D8B0F1A11";
  EXPECT_EQ(path_uuid(request, "managed service"), "6f1c7c4e-6f0e-4a8e-9a53-0f8d8b0f1a11");
}

TEST(RequestPartsTest, MakesLinksFromWhatTheClientReached) {
  http::Request request;
  request.headers.set("Host", "db.example:8443");
  EXPECT_EQ(base_url(request, ""), "http://db.example:8443/api");
  request.secure = true;
  EXPECT_EQ(base_url(request, ""), "https://db.example:8443/api");
  EXPECT_EQ(base_url(request, "https://public.example"), "https://public.example/api");
  request.headers.set("Host", "evil\"><script>");
  EXPECT_EQ(base_url(request, ""), "/api");
}

}  // namespace
}  // namespace backstay::api::house
