#include "control/events.h"

#include <algorithm>
#include <set>

#include <gtest/gtest.h>

#include "core/error.h"

namespace backstay::control {
namespace {

TEST(EventsTest, KnowsWhatTheCatalogueHolds) {
  EXPECT_TRUE(events::is_known("backup.confirmed"));
  EXPECT_FALSE(events::is_known("backup.invented"));
  EXPECT_EQ(events::kBackupFailed.severity, model::kSeverityError);
  EXPECT_EQ(events::kServicePausedUnarchived.name, "service.paused_unarchived");
}

TEST(EventsTest, ExpandsTheBeginsOfNames) {
  EXPECT_TRUE(events::expand({}, "?name").empty());
  const auto meant = events::expand({"wal.*"}, "?name");
  EXPECT_NE(std::ranges::find(meant, "wal.gap"), meant.end());
  for (const auto& name : meant) EXPECT_TRUE(name.starts_with("wal.")) << name;
  EXPECT_TRUE(events::matches({"storage.full", "wal.*"}, "wal.behind"));
  EXPECT_FALSE(events::matches({"storage.full", "wal.*"}, "storage.high"));
  for (const std::string wrong : {"wal", "wal*", "*", "", ".*"}) {
    EXPECT_THROW(events::expand({"wal.gap", wrong}, "?name"), core::Error) << wrong;
  }
}

TEST(EventsTest, HasEveryNameOnceWithAMeaning) {
  std::set<std::string_view> names;
  for (const auto& kind : events::catalogue()) {
    EXPECT_TRUE(names.insert(kind.name).second) << kind.name;
    EXPECT_FALSE(kind.meaning.empty()) << kind.name;
  }
}

}  // namespace
}  // namespace backstay::control
