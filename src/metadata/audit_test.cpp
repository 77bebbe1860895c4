#include "metadata/audit.h"

#include <gtest/gtest.h>

#include "metadata/testing/temporary_database.h"

namespace backstay::metadata {
namespace {

model::AuditEntry entry(const std::string& id, const std::string& token, std::int64_t status, int second) {
  return {.id = id,
          .at = core::parse_time("2026-04-10T12:00:00Z") + std::chrono::seconds(second),
          .token_id = token,
          .token_name = "ci",
          .team_ids = {3, 4},
          .method = "DELETE",
          .operation = "tokens-delete",
          .path = "/tokens/{id}",
          .object_id = "o" + id,
          .parameters = {{"id", "o" + id}},
          .status = status,
          .code = status >= 400 ? "forbidden" : "",
          .trace_id = "trace",
          .request_id = "r",
          .client = "192.0.2.1"};
}

class AuditTest : public ::testing::TestWithParam<testing::Store> {
 protected:
  AuditTest() {
    database_.write([](auto& tx) {
      Audit(tx).append(entry("1", "a", 200, 1));
      Audit(tx).append(entry("2", "b", 403, 2));
      Audit(tx).append(entry("3", "a", 403, 3));
    });
  }
  std::string ids(const AuditFilter& filter) {
    std::string text;
    for (const auto& found : database_.read([&](auto& tx) { return Audit(tx).list(filter); })) text += found.id;
    return text;
  }

  testing::TemporaryDatabase temporary_{GetParam()};
  Database& database_ = temporary_.database();
};

INSTANTIATE_TEST_SUITE_P(Stores, AuditTest, ::testing::Values(testing::Store::kSqlite, testing::Store::kPostgresql));

TEST_P(AuditTest, KeepsEveryField) {
  const auto found = database_.read([](auto& tx) { return Audit(tx).list({.limit = 1}); }).at(0);
  EXPECT_EQ(found.sequence, 3);
  EXPECT_EQ(found.at, entry("3", "a", 403, 3).at);
  EXPECT_EQ(found.token_name + found.method + found.operation + found.path, "ciDELETEtokens-delete/tokens/{id}");
  EXPECT_EQ(found.team_ids, (std::vector<std::int64_t>{3, 4}));
  EXPECT_EQ(found.parameters.at("id"), "o3");
  EXPECT_EQ(found.code + found.trace_id + found.request_id + found.client, "forbiddentracer192.0.2.1");
}

TEST_P(AuditTest, Filters) {
  EXPECT_EQ(ids({}), "321");
  EXPECT_EQ(ids({.token_id = "a"}), "31");
  EXPECT_EQ(ids({.object_id = "o2"}), "2");
  EXPECT_EQ(ids({.operation = "teams-create"}), "");
  EXPECT_EQ(ids({.refused_only = true}), "32");
  EXPECT_EQ(ids({.since = entry("", "", 200, 2).at}), "32");
  EXPECT_EQ(ids({.until = entry("", "", 200, 2).at}), "1");
  EXPECT_EQ(ids({.before_sequence = 3, .limit = 1}), "2");
}

TEST_P(AuditTest, GoesWithTheHistory) {
  EXPECT_EQ(database_.write([](auto& tx) { return Audit(tx).prune(entry("", "", 200, 3).at); }), 2u);
  EXPECT_EQ(ids({}), "3");
}

}  // namespace
}  // namespace backstay::metadata
