#include "model/team.h"

#include <gtest/gtest.h>

namespace backstay::model {
namespace {

Token token_with(std::vector<std::string> scopes) {
  Token token;
  token.scopes = std::move(scopes);
  return token;
}

TEST(PartScopesTest, OpenNoOtherPart) {
  const auto token = token_with({"backups:read"});
  EXPECT_TRUE(allows_scope(token, kScopeBackupsRead));
  EXPECT_FALSE(allows_scope(token, kScopeServicesRead));
  EXPECT_FALSE(allows_scope(token, kScopeRead));
  EXPECT_FALSE(allows_scope(token, kScopeBackupsWrite));
}

TEST(PartScopesTest, IncludeReadingTheSamePart) {
  for (const auto* held : {"backups:write", "backups:recover", "backups:delete"}) {
    EXPECT_TRUE(allows_scope(token_with({held}), kScopeBackupsRead)) << held;
    EXPECT_FALSE(allows_scope(token_with({held}), kScopeServicesRead)) << held;
  }
  EXPECT_FALSE(allows_scope(token_with({"backups:write"}), kScopeBackupsDelete));
  EXPECT_FALSE(allows_scope(token_with({"backups:write"}), kScopeBackupsRecover));
}

TEST(PartScopesTest, AreIncludedInWholeOnes) {
  EXPECT_TRUE(allows_scope(token_with({"read"}), kScopeBackupsRead));
  EXPECT_FALSE(allows_scope(token_with({"read"}), kScopeBackupsRecover));
  EXPECT_TRUE(allows_scope(token_with({"change"}), kScopeServicesWrite));
  EXPECT_TRUE(allows_scope(token_with({"change"}), kScopeBackupsRecover));
  EXPECT_FALSE(allows_scope(token_with({"change"}), kScopeBackupsDelete));
  EXPECT_TRUE(allows_scope(token_with({"delete"}), kScopeServicesDelete));
  EXPECT_TRUE(allows_scope(token_with({"write"}), kScopeBackupsDelete));
  EXPECT_TRUE(allows_scope(token_with({"admin"}), kScopeBackupsDelete));
  EXPECT_FALSE(allows_scope(token_with({"metrics"}), kScopeBackupsRead));
}

TEST(PartScopesTest, AreToldWhereNoWholeOneIncludesThem) {
  using Words = std::vector<std::string_view>;
  EXPECT_EQ(permissions(token_with({"backups:write"})), (Words{"backups:read", "backups:write"}));
  EXPECT_EQ(permissions(token_with({"read", "backups:delete"})), (Words{"read", "backups:delete"}));
  EXPECT_EQ(permissions(token_with({"read"})), (Words{"read"}));
}

TEST(PartScopesTest, MakeNoRole) { EXPECT_EQ(role_of(token_with({"services:read", "backups:read"})), ""); }

}  // namespace
}  // namespace backstay::model
