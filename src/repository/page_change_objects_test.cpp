#include "repository/page_change_objects.h"

#include <gtest/gtest.h>

namespace backstay::repository {
namespace {

TEST(PageChangeObjectsTest, NamesSayWhatTheyAreOf) {
  const PageChangeObject object{.timeline = 2, .from = 0x1'0000'0028, .to = 0xFF'0000'0100, .epoch = 7};
  const auto name = page_changes_name("11111111-1111-4111-8111-111111111111", object);
  EXPECT_EQ(name.kind, Kind::kPageChanges);
  EXPECT_EQ(name.key,
            "instances/11111111-1111-4111-8111-111111111111/changes/00000002/"
            "0000000100000028-000000ff00000100.00000007");
  EXPECT_EQ(parse_page_changes_name("00000002/0000000100000028-000000ff00000100.00000007"), object);
  for (const char* other : {
           "",
           "00000002",
           "00000000/0000000100000028-000000ff00000100.00000007",
           "00000002/0000000100000028-000000ff00000100.0000007",
           "00000002/0000000100000028-000000FF00000100.00000007",
           "00000002/0000000100000028_000000ff00000100.00000007",
           "00000002/0000000100000028-0000000100000028.00000007",
           "00000002/000000010000002-000000ff000001001.00000007",
           "00000002/0000000100000028-000000ff00000100.00000007.",
           "00000002/0000000100000028-000000ff00000100.00000000000000007",
       }) {
    EXPECT_FALSE(parse_page_changes_name(other)) << other;
  }
}

}  // namespace
}  // namespace backstay::repository
