#include "api/errors.h"

#include <gtest/gtest.h>

#include "core/json.h"

namespace backstay::api {
namespace {

using core::Code;
using core::Error;

http::Request request_for(const std::string& method, const std::string& path) {
  http::Request request;
  request.method = method;
  request.path = path;
  request.trace_id = "0123456789abcdef0123456789abcdef";
  return request;
}

TEST(ErrorsTest, RendersTheEnvelope) {
  const auto error =
      Error(Code::kInvalidArgument, "/name is required").with_hint("add it").with_field("/name", "is required");
  const auto response = error_response(request_for("PATCH", "/managed-services/x"), error);
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(response.headers.find("content-type"), "application/json");
  EXPECT_EQ(response.body, R"({"status":400,"title":"Bad Request","detail":"/name is required",)"
                           R"("traceId":"0123456789abcdef0123456789abcdef","code":"invalid_argument",)"
                           R"("errors":[{"pointer":"/name","message":"is required"}],"hint":"add it"})");
}

TEST(ErrorsTest, SaysWhenToAskAgainWhatIsUnavailable) {
  const auto busy = error_response(request_for("POST", "/managed-services"), Error(Code::kUnavailable, "busy"));
  EXPECT_EQ(busy.status, 503);
  EXPECT_EQ(busy.headers.find("Retry-After"), "5");
  EXPECT_FALSE(error_response(request_for("GET", "/x"), Error(Code::kNotFound, "no")).headers.find("Retry-After"));
}

TEST(ErrorsTest, TellsHowToAuthenticate) {
  const auto response = error_response(request_for("GET", "/teams"), Error(Code::kUnauthenticated, "no token"));
  EXPECT_EQ(response.status, 401);
  EXPECT_EQ(response.headers.find("WWW-Authenticate"), "Bearer");
}

struct Case {
  std::string method, path;
  Code code;
  int status;
};
class StatusTest : public testing::TestWithParam<Case> {};

TEST_P(StatusTest, IsTheOneThatClientsOfThePathKnow) {
  const Case& c = GetParam();
  EXPECT_EQ(status_of(request_for(c.method, c.path), c.code), c.status) << c.method << ' ' << c.path;
}

INSTANTIATE_TEST_SUITE_P(CodespherePaths, StatusTest,
                         testing::Values(Case{"GET", "/managed-services/x", Code::kNotFound, 404},
                                         Case{"POST", "/managed-services", Code::kNotFound, 400},
                                         Case{"POST", "/api/managed-services/", Code::kNotFound, 400},
                                         Case{"POST", "/managed-services/x/backups", Code::kNotFound, 404},
                                         Case{"POST", "/managed-services", Code::kForbidden, 401},
                                         Case{"PATCH", "/api/managed-services/x", Code::kConflict, 400},
                                         Case{"DELETE", "/managed-services/x", Code::kNotSupported, 400},
                                         Case{"PUT", "/managed-services/x", Code::kMethodNotAllowed, 404},
                                         Case{"POST", "/managed-services", Code::kBodyTooLarge, 413},
                                         Case{"POST", "/managed-services", Code::kRequestTimeout, 408},
                                         Case{"GET", "/managed-services", Code::kInternal, 500},
                                         Case{"GET", "/managed-services", Code::kUnavailable, 503},
                                         Case{"POST", "/managed-services", Code::kStoreUnreachable, 400},
                                         Case{"PATCH", "/api/managed-services/x", Code::kStoreUnreachable, 400},
                                         Case{"GET", "/managed-services/x", Code::kStoreUnreachable, 503},
                                         Case{"POST", "/api/destinations", Code::kStoreUnreachable, 503},
                                         Case{"POST", "/teams", Code::kForbidden, 401},
                                         Case{"GET", "/api/teams/9", Code::kNotFound, 404}));
INSTANTIATE_TEST_SUITE_P(OwnPaths, StatusTest,
                         testing::Values(Case{"POST", "/tokens", Code::kForbidden, 403},
                                         Case{"POST", "/api/operations/x/cancel", Code::kConflict, 409},
                                         Case{"GET", "/managed-services-x", Code::kConflict, 409},
                                         Case{"GET", "/apix/teams", Code::kConflict, 409}));

}  // namespace
}  // namespace backstay::api
