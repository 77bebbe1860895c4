#include "blob/early_reads.h"

#include <new>

#include <gtest/gtest.h>

#include "blob/testing/faulty_store.h"
#include "blob/testing/memory_store.h"
#include "core/error.h"

namespace backstay::blob {
namespace {

class EarlyReadsTest : public ::testing::Test {
 protected:
  EarlyReadsTest() {
    for (const char* key : {"a/1", "a/2", "a/b/3", "z"}) put(key, key);
  }
  void put(std::string_view key, std::string_view content) { memory_.put(key, core::as_bytes(content)); }
  static std::string text(const std::optional<core::Bytes>& content) {
    return content ? std::string(core::as_text(*content)) : "none";
  }
  std::vector<std::string> list(std::string_view prefix, std::string_view start_after = "") {
    std::vector<std::string> keys;
    early_.list(prefix, start_after, [&](const ObjectInfo& object) {
      keys.push_back(object.key);
      return true;
    });
    return keys;
  }

  testing::MemoryStore memory_;
  testing::FaultyStore store_{memory_};
  EarlyReads early_{std::shared_ptr<Store>(&store_, [](Store*) {}), 3};
};

using Keys = std::vector<std::string>;

TEST_F(EarlyReadsTest, AsksOnceForWhatWasBegun) {
  early_.begin_get("a/1");
  EXPECT_EQ(text(early_.get("a/1")), "a/1");
  EXPECT_EQ(store_.calls(), 1U);
}

TEST_F(EarlyReadsTest, AsksTheStoreWhenItIsAskedTheSameAgain) {
  early_.begin_get("a/1");
  early_.get("a/1");
  put("a/1", "new");
  EXPECT_EQ(text(early_.get("a/1")), "new");
}

TEST_F(EarlyReadsTest, PassesOnWhatWasNotBegun) {
  EXPECT_EQ(text(early_.get("z")), "z");
  EXPECT_EQ(text(early_.get("y")), "none");
  EXPECT_EQ(list("a/"), (Keys{"a/1", "a/2", "a/b/3"}));
  EXPECT_EQ(store_.calls(), 3U);
}

TEST_F(EarlyReadsTest, AnswersListsFromThePage) {
  early_.begin_list("a/");
  EXPECT_EQ(list("a/"), (Keys{"a/1", "a/2", "a/b/3"}));
  EXPECT_EQ(list("a/", "a/1"), (Keys{"a/2", "a/b/3"}));
  EXPECT_EQ(list("a/b"), (Keys{"a/b/3"}));
  EXPECT_EQ(store_.calls(), 1U);
  EXPECT_EQ(list("z"), (Keys{"z"}));
}

TEST_F(EarlyReadsTest, ListsAnewWhenItIsAskedTheSameAgain) {
  early_.begin_list("a/");
  list("a/");
  put("a/new", "");
  EXPECT_EQ(list("a/"), (Keys{"a/1", "a/2", "a/b/3", "a/new"}));
}

TEST_F(EarlyReadsTest, KnowsWhatIsNotThere) {
  early_.begin_list("a/");
  ASSERT_TRUE(early_.all_listed());
  EXPECT_EQ(text(early_.get("a/3")), "none");
  EXPECT_EQ(store_.calls(), 1U);
  put("a/3", "came");
  EXPECT_EQ(text(early_.get("a/3")), "came");
}

TEST_F(EarlyReadsTest, AnswersNothingFromAPageThatIsNotAll) {
  for (int i = 0; i < 1000; ++i) put("a/" + std::to_string(i), "");
  early_.begin_list("a/");
  EXPECT_FALSE(early_.all_listed());
  EXPECT_EQ(list("a/").size(), 1001U);
}

TEST_F(EarlyReadsTest, CutsFromTheWholeWhatIsAskedFor) {
  put("a/1", "0123456789");
  early_.begin_get("a/1");
  const auto tail = early_.get_tail("a/1", 4);
  ASSERT_TRUE(tail);
  EXPECT_EQ(core::as_text(tail->content), "6789");
  EXPECT_EQ(tail->object_size, 10U);
  EXPECT_EQ(text(early_.get_range("a/1", 2, 3)), "234");
  EXPECT_EQ(text(early_.get_range("a/1", 8, 9)), "89");
  EXPECT_EQ(text(early_.get_range("a/1", 11, 9)), "");
}

TEST_F(EarlyReadsTest, AsksTheStoreForAPartOfWhatWasGivenWhole) {
  put("a/1", "damaged");
  early_.begin_get("a/1");
  EXPECT_EQ(text(early_.get("a/1")), "damaged");
  put("a/1", "as it is");
  EXPECT_EQ(text(early_.get_range("a/1", 0, 5)), "as it");
}

TEST_F(EarlyReadsTest, AsksTheStoreForAPartOfWhatWasGivenInARange) {
  put("a/1", "damaged bytes");
  early_.begin_get("a/1");
  EXPECT_EQ(core::as_text(early_.get_tail("a/1", 5)->content), "bytes");
  EXPECT_EQ(text(early_.get_range("a/1", 0, 8)), "damaged ") << "a tail that is not all of it says nothing about this";
  EXPECT_EQ(store_.calls(), 1U);
  put("a/1", "bytes as they are");
  EXPECT_EQ(text(early_.get_range("a/1", 6, 2)), "as");
}

TEST_F(EarlyReadsTest, AsksForWhatATailLacks) {
  put("a/1", "0123456789");
  early_.begin_get_tail("a/1", 4);
  EXPECT_EQ(core::as_text(early_.get_tail("a/1", 4)->content), "6789");
  EXPECT_EQ(core::as_text(early_.get_tail("a/1", 8)->content), "23456789");
  EXPECT_EQ(text(early_.get("a/1")), "0123456789");
  EXPECT_EQ(text(early_.get_range("a/1", 0, 7)), "0123456");
}

TEST_F(EarlyReadsTest, TellsWhoAsksOfAStoreThatFails) {
  store_.go_away();
  early_.begin_get("a/1");
  early_.begin_list("a/");
  EXPECT_FALSE(early_.all_listed());
  EXPECT_THROW(early_.get("a/1"), core::Error);
  EXPECT_THROW(list("a/"), core::Error);
  store_.come_back();
  EXPECT_EQ(text(early_.get("a/1")), "a/1");
}

/// For which there is no memory.
class ExhaustedStore final : public Store {
 public:
  void put(std::string_view, core::ByteSpan) override { throw std::bad_alloc(); }
  bool put_if_absent(std::string_view, core::ByteSpan) override { throw std::bad_alloc(); }
  std::unique_ptr<Upload> begin_upload(std::string_view) override { throw std::bad_alloc(); }
  std::optional<core::Bytes> get(std::string_view) override { throw std::bad_alloc(); }
  std::optional<core::Bytes> get_range(std::string_view, std::uint64_t, std::uint64_t) override {
    throw std::bad_alloc();
  }
  std::optional<ObjectTail> get_tail(std::string_view, std::uint64_t) override { throw std::bad_alloc(); }
  std::optional<ObjectInfo> head(std::string_view) override { throw std::bad_alloc(); }
  void list(std::string_view, std::string_view, const std::function<bool(const ObjectInfo&)>&) override {
    throw std::bad_alloc();
  }
  void remove(std::span<const std::string>) override { throw std::bad_alloc(); }
  [[nodiscard]] StoreFeatures features() const override { return {}; }
  [[nodiscard]] std::string description() const override { return "exhausted"; }
};

TEST(EarlyReads, TellWhoAsksWhateverWentWrong) {
  EarlyReads early(std::make_shared<ExhaustedStore>(), 1);
  early.begin_get("a/1");
  early.begin_get_tail("a/2", 5);
  early.begin_list("a/");
  EXPECT_FALSE(early.all_listed());
  EXPECT_THROW((void)early.get("a/1"), std::bad_alloc);
  EXPECT_THROW((void)early.get_tail("a/2", 5), std::bad_alloc);
}

}  // namespace
}  // namespace backstay::blob
