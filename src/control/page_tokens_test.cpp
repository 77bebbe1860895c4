#include <gtest/gtest.h>

#include "control/testing/control_world.h"
#include "core/error.h"

namespace backstay::control {
namespace {

TEST(PageTokensTest, AreReadBackForTheirOwnListOnly) {
  testing::ControlWorld world;
  const auto token = world.queries->page_token("/backups?serviceId=1", "position");
  EXPECT_EQ(token.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
            std::string::npos);
  EXPECT_EQ(world.queries->page_position("/backups?serviceId=1", token), "position");
  const auto refused = [&](const std::string& list, const std::string& text) {
    try {
      static_cast<void>(world.queries->page_position(list, text));
    } catch (const core::Error& error) {
      EXPECT_EQ(error.code(), core::Code::kInvalidArgument);
      return error.fields().at(0).pointer;
    }
    return std::string("taken");
  };
  EXPECT_EQ(refused("/backups?serviceId=2", token), "?page_token");
  std::string tampered = token;
  tampered[tampered.size() / 2] = tampered[tampered.size() / 2] == 'A' ? 'B' : 'A';
  EXPECT_EQ(refused("/backups?serviceId=1", tampered), "?page_token");
  for (const std::string none : {"", "x", "position", "%%%", "AAAA"}) {
    EXPECT_EQ(refused("/backups?serviceId=1", none), "?page_token") << none;
  }
}

}  // namespace
}  // namespace backstay::control
