#include "http/router.h"

#include <gtest/gtest.h>

namespace backstay::http {
namespace {

Handler reply(std::string name) {
  return [name = std::move(name)](const Request& request) {
    Response response{.status = 200, .headers = {}, .body = name, .stream = {}};
    for (const auto& [key, value] : request.params) response.body += " " + key + "=" + value;
    return response;
  };
}

class RouterTest : public ::testing::Test {
 protected:
  std::string get(const std::string& path, const std::string& method = "GET") {
    Request request;
    request.method = method;
    request.path = path;
    return router_.handle(request).body;
  }
  Router router_;
};

TEST_F(RouterTest, FindsLiteralsAndParameters) {
  router_.add("GET", "/", reply("root"));
  router_.add("GET", "/things", reply("list"));
  router_.add("GET", "/things/{id}", reply("thing"));
  router_.add("GET", "/things/{id}/parts/{part}", reply("part"));
  EXPECT_EQ(get("/"), "root");
  EXPECT_EQ(get("/things"), "list");
  EXPECT_EQ(get("/things/"), "list");
  EXPECT_EQ(get("/things/7"), "thing id=7");
  EXPECT_EQ(get("/things/7/parts/x"), "part id=7 part=x");
}

TEST_F(RouterTest, PrefersLiteralsAndGoesBack) {
  router_.add("GET", "/{tenant}/api", reply("tenant"));
  router_.add("GET", "/v1/{id}", reply("v1"));
  router_.add("GET", "/v1/special/more", reply("more"));
  router_.add("GET", "/{all*}", reply("rest"));
  EXPECT_EQ(get("/v1/special"), "v1 id=special");
  EXPECT_EQ(get("/v1/api"), "v1 id=api");
  EXPECT_EQ(get("/acme/api"), "tenant tenant=acme");
  EXPECT_EQ(get("/acme/api/deeper"), "rest all=acme/api/deeper");
  EXPECT_EQ(get("/v1/special/other"), "rest all=v1/special/other");
}

TEST_F(RouterTest, DecodesSegmentsAfterSplitting) {
  router_.add("GET", "/things/{id}", reply("thing"));
  EXPECT_EQ(get("/things/a%2Fb%20c"), "thing id=a/b c");
  EXPECT_THROW(get("/things/%zz"), core::Error);
}

TEST_F(RouterTest, RestMayBeEmpty) {
  router_.add("GET", "/ui/{path*}", reply("ui"));
  EXPECT_EQ(get("/ui"), "ui path=");
  EXPECT_EQ(get("/ui/a/b"), "ui path=a/b");
}

TEST_F(RouterTest, AnswersUnknownPaths) {
  router_.add("GET", "/things", reply("list"));
  for (const auto* path : {"/", "/thing", "/things/7", "/things//", "//things"}) {
    try {
      get(path);
      ADD_FAILURE() << path << " was found";
    } catch (const core::Error& error) {
      EXPECT_EQ(error.code(), core::Code::kNotFound) << path;
    }
  }
}

TEST_F(RouterTest, NamesTheMethodsThatExist) {
  router_.add("POST", "/things", reply("create"));
  router_.add("GET", "/things", reply("list"));
  EXPECT_EQ(get("/things", "HEAD"), "list");
  EXPECT_EQ(router_.pattern_of({.method = "HEAD", .path = "/things"}), "/things");
  EXPECT_EQ(router_.pattern_of({.method = "DELETE", .path = "/things"}), "");
  try {
    get("/things", "DELETE");
    FAIL() << "accepted";
  } catch (const MethodNotAllowed& error) {
    EXPECT_EQ(error.allow(), "GET, HEAD, POST");
    EXPECT_EQ(error.code(), core::Code::kMethodNotAllowed);
  }
}

TEST_F(RouterTest, RefusesBadRoutes) {
  router_.add("GET", "/a/{x}", reply("a"));
  EXPECT_THROW(router_.add("GET", "/a/{y}", reply("b")), core::Error);
  EXPECT_THROW(router_.add("GET", "a", reply("b")), core::Error);
  EXPECT_THROW(router_.add("GET", "/a/{x*}/b", reply("b")), core::Error);
  EXPECT_THROW(router_.add("GET", "/a{x}", reply("b")), core::Error);
  EXPECT_EQ(router_.routes(), (std::vector<std::string>{"GET /a/{x}"}));
}

}  // namespace
}  // namespace backstay::http
