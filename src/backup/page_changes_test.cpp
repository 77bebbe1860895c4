#include "backup/page_changes.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "core/error.h"

namespace backstay::backup {
namespace {

using Blocks = std::vector<std::uint32_t>;

constexpr RelationFork kTable{1663, 5, 16384, 0};

Blocks all(std::uint32_t first, std::uint32_t count) {
  Blocks blocks(count);
  std::iota(blocks.begin(), blocks.end(), first);
  return blocks;
}

TEST(PageChangesTest, KnowsTheBlocksOfARange) {
  PageChanges changes;
  EXPECT_TRUE(changes.empty());
  for (const std::uint32_t block : {7U, 3U, 7U, 131'072U, 65'535U, 65'536U}) changes.note_block(kTable, block);
  EXPECT_EQ(changes.changed(kTable, 0, 131'072), (Blocks{3, 7, 65'535, 65'536}));
  EXPECT_EQ(changes.changed(kTable, 131'072, 131'072), Blocks{131'072});
  EXPECT_EQ(changes.changed(kTable, 4, 3), Blocks{});
  EXPECT_EQ(changes.changed({1663, 5, 16385, 0}, 0, 1000), Blocks{});
  EXPECT_EQ(changes.blocks(), 5U);
  EXPECT_FALSE(changes.empty());
}

TEST(PageChangesTest, EverythingFromALimitOnIsNew) {
  PageChanges changes;
  changes.note_block(kTable, 2);
  changes.note_block(kTable, 12);
  changes.note_new_from(kTable, 10);
  changes.note_new_from(kTable, 11);  // the smallest size that it had counts
  changes.note_block(kTable, 20);
  EXPECT_EQ(changes.changed(kTable, 0, 13), (Blocks{2, 10, 11, 12}));
  EXPECT_EQ(changes.changed(kTable, 40, 2), (Blocks{40, 41}));
  EXPECT_EQ(changes.changed(kTable, 0xFFFF'FFF0, 14).size(), 14U);
  EXPECT_EQ(changes.blocks(), 1U);
  changes.note_new_from(kTable, 0);
  EXPECT_EQ(changes.changed(kTable, 0, 3), all(0, 3));
}

TEST(PageChangesTest, ADatabaseOrATablespaceMayBeNew) {
  PageChanges changes;
  changes.note_new_database(1663, 5);
  changes.note_new_tablespace(20'000);
  EXPECT_EQ(changes.changed(kTable, 5, 2), all(5, 2));
  EXPECT_EQ(changes.changed({1663, 6, 16384, 0}, 0, 9), Blocks{});
  EXPECT_EQ(changes.changed({20'000, 77, 16384, 0}, 1, 2), all(1, 2));
}

TEST(PageChangesTest, OnlyMainForksAreProvenUnchanged) {
  const PageChanges changes;
  for (std::uint8_t fork = 1; fork < 4; ++fork) EXPECT_EQ(changes.changed({1663, 5, 16384, fork}, 3, 2), all(3, 2));
}

TEST(PageChangesTest, ProvesNothingOnceSomethingIsUnknown) {
  PageChanges changes;
  changes.note_unproven("first");
  changes.note_unproven("second");
  EXPECT_EQ(changes.unproven(), "first");
  EXPECT_EQ(changes.changed(kTable, 8, 2), all(8, 2));
  PageChanges before;
  before.note_block(kTable, 1);
  before.merge(changes);
  EXPECT_EQ(before.unproven(), "first");
}

/// Against the simplest thing that could be right, with sizes that make lists and bitmaps of it.
TEST(PageChangesTest, IsTheUnionOfWhatItWasToldHoweverItIsMerged) {
  for (unsigned seed = 0; seed < 5; ++seed) {
    std::mt19937 random(seed);
    const auto pick = [&](std::uint32_t n) { return static_cast<std::uint32_t>(random() % n); };
    std::map<std::uint32_t, std::set<std::uint32_t>> blocks;
    std::map<std::uint32_t, std::uint32_t> limits;
    std::vector<PageChanges> pieces(4);
    constexpr std::uint32_t kBlocks = 200'000;
    for (std::uint32_t i = 0; i < 4000 + seed * 1000; ++i) {
      PageChanges& piece = pieces[pick(4)];
      const std::uint32_t relation = 16'000 + pick(3);
      const std::uint32_t block = pick(2) == 0 ? pick(kBlocks) : 65'000 + pick(3000);
      if (pick(900) == 0) {
        piece.note_new_from({1663, 5, relation, 0}, block);
        limits[relation] = std::min(limits.contains(relation) ? limits[relation] : kBlocks, block);
      } else {
        piece.note_block({1663, 5, relation, 0}, block);
        blocks[relation].insert(block);
      }
    }
    std::ranges::shuffle(pieces, random);
    PageChanges merged;
    for (const PageChanges& piece : pieces) merged.merge(PageChanges::decode(piece.encode()));
    EXPECT_EQ(PageChanges::decode(merged.encode()), merged);
    for (auto& [relation, of] : blocks) {
      const std::uint32_t limit = limits.contains(relation) ? limits[relation] : kBlocks;
      for (std::uint32_t block = limit; block < kBlocks; ++block) of.insert(block);
      EXPECT_EQ(merged.changed({1663, 5, relation, 0}, 0, kBlocks), Blocks(of.begin(), of.end())) << "seed " << seed;
      const std::uint32_t first = pick(kBlocks);
      const auto range = merged.changed({1663, 5, relation, 0}, first, 777);
      EXPECT_EQ(range, Blocks(of.lower_bound(first), of.lower_bound(first + 777))) << "seed " << seed;
    }
  }
}

TEST(PageChangesTest, TakesFewBytesForManyBlocks) {
  PageChanges changes;
  std::mt19937 random(1);
  for (int i = 0; i < 2'000'000; ++i) changes.note_block(kTable, static_cast<std::uint32_t>(random() % 8'000'000));
  EXPECT_LT(changes.memory(), 2U << 20);
  EXPECT_LT(changes.encode().size(), 4U << 20);
}

TEST(PageChangesTest, RefusesWhatItWouldNotWrite) {
  PageChanges changes;
  changes.note_block(kTable, 3);
  changes.note_block(kTable, 300);
  changes.note_new_from({1663, 5, 16390, 0}, 7);
  changes.note_new_database(1663, 9);
  changes.note_unproven("why");
  const core::Bytes good = changes.encode();
  ASSERT_EQ(PageChanges::decode(good), changes);
  const auto refused = [](const core::Bytes& bytes) {
    try {
      PageChanges::decode(bytes);
      return false;
    } catch (const core::Error& e) {
      return e.code() == core::Code::kCorruptData;
    }
  };
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_TRUE(refused({good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size)})) << size;
  }
  core::Bytes longer = good;
  longer.push_back(std::byte{0});
  EXPECT_TRUE(refused(longer));
  const auto bytes = [](std::initializer_list<int> values) {
    core::Bytes result;
    for (const int value : values) result.push_back(static_cast<std::byte>(value));
    return result;
  };
  EXPECT_FALSE(refused(bytes({0, 0, 1, 1, 2, 3, 0, 1, 5})));
  EXPECT_TRUE(refused(bytes({0, 0, 1, 1, 2, 3, 0, 0})));                                   // nothing changed
  EXPECT_TRUE(refused(bytes({0, 0, 1, 1, 2, 3, 6, 1, 5})));                                // where everything is new
  EXPECT_TRUE(refused(bytes({0, 0, 1, 1, 2, 3, 0, 1, 0x85, 0})));                          // not the shortest number
  EXPECT_TRUE(refused(bytes({0, 2, 1, 1, 1, 1, 0})));                                      // twice
  EXPECT_TRUE(refused(bytes({0, 2, 2, 1, 1, 1, 0})));                                      // out of order
  EXPECT_TRUE(refused(bytes({0, 0, 1, 1, 2, 3, 0, 2, 0xFE, 0xFF, 0xFF, 0xFF, 0x0F, 1})));  // no block's number
}

}  // namespace
}  // namespace backstay::backup
