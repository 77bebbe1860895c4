#include "model/labels.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace backstay::model {
namespace {

TEST(Labels, ChangesAddReplaceAndTakeAway) {
  const Labels before{{"a", "1"}, {"b", "2"}};
  EXPECT_EQ(changed(before, {{"a", std::nullopt}, {"b", "3"}, {"c", "4"}}), (Labels{{"b", "3"}, {"c", "4"}}));
  EXPECT_EQ(changed(before, {}), before);
}

TEST(Labels, AreFoundByAllThatIsWanted) {
  const Labels labels{{"a", "1"}, {"b", "2"}};
  EXPECT_TRUE(has_labels(labels, {{"a", "1"}}));
  EXPECT_TRUE(has_labels(labels, {}));
  EXPECT_FALSE(has_labels(labels, {{"a", "1"}, {"b", "3"}}));
  EXPECT_FALSE(has_labels(labels, {{"c", ""}}));
}

TEST(Labels, SurviveTheWayThroughJson) {
  const Labels labels{{"guidewire.planet", "p 1"}, {"x/y", ""}};
  EXPECT_EQ(labels_from_json(to_json(labels)), labels);
}

TEST(Labels, RefuseEachThatIsNotAllowed) {
  EXPECT_NO_THROW(check_labels({{std::string(63, 'n'), std::string(1024, 'v')}}));
  try {
    check_labels({{"", "x"}, {"a b", "x"}, {"ok", std::string(1025, 'v')}});
    FAIL() << "they were taken";
  } catch (const core::Error& error) {
    ASSERT_EQ(error.fields().size(), 3U);
    EXPECT_EQ(error.fields()[0].pointer, "/labels/");
    EXPECT_EQ(error.fields()[1].pointer, "/labels/a b");
    EXPECT_EQ(error.fields()[2].pointer, "/labels/ok");
  }
}

TEST(Labels, AreNotTooMany) {
  Labels labels;
  for (int i = 0; i < 33; ++i) labels["n" + std::to_string(i)] = "";
  EXPECT_THROW(check_labels(labels), core::Error);
}

}  // namespace
}  // namespace backstay::model
