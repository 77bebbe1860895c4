// A token is given another text, and the one before works on for a while.
#include <gtest/gtest.h>

#include "control/testing/control_world.h"
#include "core/error.h"

namespace backstay::control {
namespace {

using testing::ControlWorld;

constexpr auto kOverlap = std::chrono::hours(1);

class TokenRotationTest : public ::testing::Test {
 protected:
  TokenRotationTest() : first_(make()) {}
  CreatedToken make() {
    CreateTokenRequest request;
    request.name = "deployments";
    request.scopes = {"backups:read"};
    request.team_ids = {world_.team_id};
    request.expires_at = world_.clock.now() + std::chrono::hours(3);
    request.prefix = "ch_live_";
    return world_.commands->create_token(request, world_.admin);
  }
  CreatedToken rotate() { return world_.commands->rotate_token(first_.token.id, kOverlap, "ch_live_", world_.admin); }
  bool works(const CreatedToken& token) { return world_.commands->authenticate(token.text.reveal()).has_value(); }

  ControlWorld world_;
  CreatedToken first_;
};

TEST_F(TokenRotationTest, BothTextsWorkUntilTheOverlapIsOver) {
  EXPECT_TRUE(first_.text.reveal().starts_with("ch_live_"));
  const auto second = rotate();
  EXPECT_EQ(second.token.id, first_.token.id);
  EXPECT_EQ(second.token.scopes, first_.token.scopes);
  EXPECT_NE(second.text.reveal(), first_.text.reveal());
  EXPECT_TRUE(works(first_) && works(second));
  const auto before = world_.commands->authenticate(first_.text.reveal());
  EXPECT_TRUE(before->may("backups:read"));
  EXPECT_FALSE(before->may("backups:write"));
  EXPECT_EQ(world_.queries->tokens(world_.admin).size(), 2U);  // the first administrator's, and this one
  world_.clock.advance(kOverlap);
  EXPECT_FALSE(works(first_));
  EXPECT_TRUE(works(second));
}

TEST_F(TokenRotationTest, TheEndOfTheTokenIsTheEndOfBoth) {
  const auto second = rotate();
  world_.admin.may_delete = true;
  world_.commands->delete_token(first_.token.id, world_.admin);
  EXPECT_FALSE(works(first_) || works(second));
  EXPECT_THROW(rotate(), core::Error);
}

TEST_F(TokenRotationTest, ASecondRotationEndsTheTextBeforeTheFirst) {
  const auto second = rotate();
  const auto third = rotate();
  EXPECT_FALSE(works(first_));
  EXPECT_TRUE(works(second) && works(third));
}

TEST_F(TokenRotationTest, TheOverlapDoesNotOutliveTheToken) {
  world_.clock.advance(std::chrono::minutes(150));
  const auto second = rotate();
  world_.clock.advance(std::chrono::minutes(31));
  EXPECT_FALSE(works(first_) || works(second));
}

}  // namespace
}  // namespace backstay::control
