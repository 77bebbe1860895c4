#include "control/events.h"

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
  EXPECT_EQ(events::expand({"backups.*"}, "?name"), (std::vector<std::string>{"backups.enabled", "backups.disabled"}));
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
