#include "api/dialect_hint.h"

#include <gtest/gtest.h>

namespace backstay::api {
namespace {

std::string told(const std::string& hint) {
  return dialect_hint(core::Error(core::Code::kConflict, "no").with_hint(hint));
}

TEST(DialectHintTest, LeavesTheHousesCallsOut) {
  EXPECT_EQ(told("resume it (PATCH with pause false), then switch"), "resume it, then switch");
  EXPECT_EQ(told("a logical backup goes into any later version: take one (POST /x with {\"mechanism\":\"logical\"})"),
            "a logical backup goes into any later version: take one");
  EXPECT_EQ(told("find it (ss -ltnp) and stop it"), "find it (ss -ltnp) and stop it");
  EXPECT_EQ(told("one (PATCH it), two (by hand), three (with isDefault)"), "one, two (by hand), three");
}

TEST(DialectHintTest, IsEmptyWhereNobodyElseCouldActOnIt) {
  EXPECT_EQ(told("delete it again with finalBackup=skip"), "");
  EXPECT_EQ(told("revoke a key with DELETE /api/tokens/{id}"), "");
  EXPECT_EQ(told("an unclosed (PATCH"), "");
}

TEST(DialectHintTest, KeepsWhatIsPlain) {
  for (const auto* hint : {"choose PostgreSQL 16 or later", "put the tenant in front of the path: /<tenant>/api/v1/…",
                           "name one of them in the header field X-Organization-Id, by id or slug", ""}) {
    EXPECT_EQ(told(hint), hint);
  }
}

TEST(DialectHintTest, HasTheCataloguesAdviceWhereThereIsNoOther) {
  EXPECT_EQ(dialect_hint(core::Error(core::Code::kStoreUnreachable, "away")),
            core::code_hint(core::Code::kStoreUnreachable));
}

}  // namespace
}  // namespace backstay::api
