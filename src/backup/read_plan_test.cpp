// Which bytes an incremental backup reads, and how the rest comes from the base's manifest.
#include "backup/read_plan.h"

#include <map>

#include <gtest/gtest.h>

#include "backup/base_manifest.h"
#include "backup/base_sample.h"
#include "core/error.h"
#include "postgres/page_checksum.h"
#include "repository/testing/fixture.h"

namespace backstay::backup {
namespace {

constexpr std::uint64_t kPage = postgres::kPageSize;

postgres::ClusterEntry relation(const std::string& path, std::uint64_t size, std::uint32_t first_block = 0) {
  postgres::ClusterEntry entry;
  entry.path = path;
  entry.size = size;
  entry.first_block = first_block;
  return entry;
}

ByteRange pages(std::uint64_t from, std::uint64_t to) { return {from * kPage, to * kPage}; }

repository::Extent extent(std::uint64_t offset, std::uint64_t length, std::uint32_t group, std::uint32_t in_group) {
  repository::Extent extent{.file_offset = offset, .length = length, .position = {}};
  extent.position.group = group;
  extent.position.offset = in_group;
  return extent;
}

TEST(ReadPlanTest, OnlyMainForksOfRelationsAreInTheMap) {
  const auto fork = [](const std::string& path) { return main_fork(relation(path, kPage)); };
  EXPECT_EQ(fork("base/5/16384"), (RelationFork{1663, 5, 16384, 0}));
  EXPECT_EQ(fork("base/5/16384.3"), (RelationFork{1663, 5, 16384, 0}));
  EXPECT_EQ(fork("global/1260"), (RelationFork{1664, 0, 1260, 0}));
  EXPECT_EQ(fork("pg_tblspc/16400/PG_15_202209061/5/16390"), (RelationFork{16400, 5, 16390, 0}));
  EXPECT_FALSE(fork("base/5/16384_fsm"));
  EXPECT_FALSE(fork("base/5/16384_vm.1"));
  EXPECT_FALSE(fork("base/5/16384_init"));
  EXPECT_FALSE(fork("base/5/pg_filenode.map"));
  EXPECT_FALSE(fork("global/pg_control"));
  auto plain = relation("base/5/16384", kPage);
  plain.first_block.reset();
  EXPECT_FALSE(main_fork(plain));
}

TEST(ReadPlanTest, ChangedPagesAndWhatTheBaseLacksAreRead) {
  const RelationFork fork{1663, 5, 16384, 0};
  PageChanges changes;
  for (const std::uint32_t block : {3, 4, 9}) changes.note_block(fork, block);
  EXPECT_EQ(plan_reads(relation("base/5/16384", 12 * kPage), fork, 12 * kPage, changes),
            (std::vector{pages(3, 5), pages(9, 10)}));
  EXPECT_EQ(plan_reads(relation("base/5/16384", 12 * kPage), fork, 10 * kPage, changes),
            (std::vector{pages(3, 5), pages(9, 12)}))
      << "what was appended is read, whatever the map says";
  EXPECT_EQ(plan_reads(relation("base/5/16384", 4 * kPage), fork, 12 * kPage, changes), (std::vector{pages(3, 4)}))
      << "cut off since";
  EXPECT_EQ(plan_reads(relation("base/5/16384", 2 * kPage + 100), fork, 2 * kPage + 100, changes),
            (std::vector{ByteRange{2 * kPage, 2 * kPage + 100}}))
      << "half a page is nobody's";
  changes.note_new_from(fork, 0);
  EXPECT_EQ(plan_reads(relation("base/5/16384", 12 * kPage), fork, 12 * kPage, changes), (std::vector{pages(0, 12)}));
}

TEST(ReadPlanTest, BlocksOfLaterFilesCountOn) {
  const RelationFork fork{1663, 5, 16384, 0};
  PageChanges changes;
  changes.note_block(fork, 1);
  changes.note_block(fork, postgres::kRelationSegmentBlocks + 2);
  EXPECT_EQ(
      plan_reads(relation("base/5/16384.1", 4 * kPage, postgres::kRelationSegmentBlocks), fork, 4 * kPage, changes),
      (std::vector{pages(2, 3)}));
}

TEST(ReadPlanTest, RangesAndTheirComplement) {
  std::vector<ByteRange> ranges;
  for (const ByteRange& range : {ByteRange{0, 10}, ByteRange{10, 20}, ByteRange{30, 30}, ByteRange{40, 50}}) {
    add_range(ranges, range);
  }
  EXPECT_EQ(ranges, (std::vector<ByteRange>{{0, 20}, {40, 50}}));
  EXPECT_EQ(complement(ranges, 60), (std::vector<ByteRange>{{20, 40}, {50, 60}}));
  EXPECT_EQ(complement(ranges, 45), (std::vector<ByteRange>{{20, 40}}));
  EXPECT_EQ(complement(ranges, 15), (std::vector<ByteRange>{}));
  EXPECT_EQ(complement({}, 5), (std::vector<ByteRange>{{0, 5}}));
  EXPECT_EQ(total_size(ranges), 30U);
}

TEST(BaseManifestTest, ExtentsAreClippedWhereverTheyLie) {
  const std::vector<repository::Extent> extents{extent(0, 100, 1, 50), extent(200, 100, 7, 0)};
  EXPECT_EQ(clip(extents, {10, 250}), (std::vector{extent(10, 90, 1, 60), extent(200, 50, 7, 0)}));
  EXPECT_EQ(clip(extents, {100, 200}), std::vector<repository::Extent>{}) << "a hole is a hole";
  EXPECT_EQ(clip(extents, {290, 400}), (std::vector{extent(290, 10, 7, 90)}));
}

TEST(BaseManifestTest, NewAndKeptBytesMakeTheFile) {
  repository::FileEntry base;
  base.path = "base/5/1";
  base.size = 3 * kPage;
  base.extents = {extent(0, 3 * kPage, 4, 0)};
  CopiedEntry entry;
  entry.file.path = base.path;
  entry.file.size = 4 * kPage;
  entry.file.extents = {extent(kPage, kPage, 9, 0), extent(3 * kPage, kPage, 9, kPage)};
  entry.kept = {pages(0, 1), pages(2, 3)};
  complete(entry, &base);
  EXPECT_EQ(entry.file.extents,
            (std::vector{extent(0, kPage, 4, 0), extent(kPage, kPage, 9, 0), extent(2 * kPage, kPage, 4, 2 * kPage),
                         extent(3 * kPage, kPage, 9, kPage)}));
  entry.kept = {pages(2, 4)};
  EXPECT_THROW(complete(entry, &base), core::Error) << "the base is not that long";
  CopiedEntry cut{.file = {}, .kept = {pages(0, 2), pages(2, 3)}, .pieces = {}};
  cut.file.size = kPage + 10;
  complete(cut, &base);
  EXPECT_EQ(cut.file.extents, std::vector{extent(0, kPage + 10, 4, 0)}) << "another worker found its end before that";
  EXPECT_THROW(complete(entry, nullptr), core::Error);
}

TEST(BaseManifestTest, PiecesAreFoundAgain) {
  CopiedEntry entry;
  entry.file.size = kPieceSize + 10;
  entry.file.extents = {extent(0, kPieceSize, 0, 0), extent(kPieceSize, 10, 2, 0)};
  entry.pieces = {repository::ContentId{std::byte{1}}, repository::ContentId{std::byte{2}}};
  complete(entry, nullptr);
  EXPECT_EQ(entry.file.chunks.size(), 2U);
  EXPECT_EQ(pieces_of(entry.file), entry.pieces);
  entry.file.extents.back().length = 9;
  EXPECT_TRUE(pieces_of(entry.file).empty()) << "not all of the file";
  entry.file.extents = {extent(0, kPieceSize + 10, 0, 0)};
  EXPECT_TRUE(pieces_of(entry.file).empty()) << "one extent over two pieces";
}

TEST(SampleDrawTest, EveryPageIsAsLikelyAsAnyOther) {
  core::SystemRandom random;
  repository::FileEntry base;
  base.size = 1000 * kPage;
  base.extents = {extent(0, base.size, 0, 0)};
  std::map<std::string, int> drawn;
  for (int round = 0; round < 200; ++round) {
    SampleDraw draw(random);
    draw.offer(relation("base/5/1", 100 * kPage), {pages(0, 100)}, base);
    draw.offer(relation("base/5/2", 300 * kPage), {pages(0, 50), pages(100, 350)}, base);
    EXPECT_EQ(draw.pages(), 400U);
    for (const SampledPages& place : draw.take()) {
      ++drawn[place.file.path];
      EXPECT_LE(place.offset + place.size, 350 * kPage);
      EXPECT_EQ(place.extents.front().file_offset, place.offset);
    }
  }
  const double part = static_cast<double>(drawn["base/5/1"]) / (200.0 * 16);
  EXPECT_NEAR(part, 0.25, 0.05);
  SampleDraw empty(random);
  empty.offer(relation("base/5/1", 0), {}, base);
  EXPECT_TRUE(empty.take().empty());
}

}  // namespace
}  // namespace backstay::backup
