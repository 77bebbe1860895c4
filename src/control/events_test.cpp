#include "control/events.h"

#include <set>

#include <gtest/gtest.h>

namespace backstay::control {
namespace {

TEST(EventsTest, KnowsWhatTheCatalogueHolds) {
  EXPECT_TRUE(events::is_known("backup.confirmed"));
  EXPECT_FALSE(events::is_known("backup.invented"));
  EXPECT_EQ(events::kBackupFailed.severity, model::kSeverityError);
  EXPECT_EQ(events::kServicePausedUnarchived.name, "service.paused_unarchived");
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
