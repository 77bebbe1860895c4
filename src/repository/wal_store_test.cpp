#include "repository/wal_store.h"

#include <gtest/gtest.h>

#include "repository/testing/fixture.h"
#include "repository/testing/prune_fixture.h"

namespace backstay::repository {
namespace {

using testing::kInstance;

constexpr std::uint64_t kSize = 1024 * 1024;

class WalStoreTest : public testing::RepositoryFixture {
 protected:
  WalStore make() { return WalStore(*repository_, kInstance, kSize); }
  /// One commit a second: segment n holds second n.
  SegmentIndex index(std::uint64_t segment, std::uint32_t timeline = 1) {
    SegmentIndex result;
    result.timeline = timeline;
    result.segment = segment;
    result.commits = 1;
    const core::Timestamp time = core::parse_time("2026-01-01T00:00:00Z") + std::chrono::seconds(segment);
    result.first_commit_time = result.last_commit_time = result.min_commit_time = result.max_commit_time = time;
    result.first_commit_lsn = result.last_commit_lsn = result.last_record_lsn = segment * kSize + 100;
    result.last_record_end = result.last_record_lsn + 40;
    result.first_xid = result.last_xid = static_cast<std::uint32_t>(700 + segment);
    return result;
  }
  core::Bytes segment(char fill) { return core::Bytes(kSize, static_cast<std::byte>(fill)); }
  std::string key(const std::string& name) { return wal_prefix(kInstance) + "00000001/" + name; }
};

TEST_F(WalStoreTest, NamesSegmentsAsPostgresDoes) {
  EXPECT_EQ(segment_name(1, 0x2a, 16 << 20), "00000001000000000000002A");
  EXPECT_EQ(segment_name(0x10, 256, 16 << 20), "000000100000000100000000");
  EXPECT_EQ(segment_name(1, 5, 1 << 30), "000000010000000100000001");
  EXPECT_THROW(WalStore(*repository_, kInstance, 1000), core::Error);
}

TEST_F(WalStoreTest, StoresSegmentsOnceAndRefusesAnotherContent) {
  WalStore wal = make();
  EXPECT_TRUE(wal.put_segment(segment('a'), index(5), 1));
  EXPECT_FALSE(wal.put_segment(segment('a'), index(5), 1));
  EXPECT_FALSE(wal.put_segment(segment('a'), index(5), 2)) << "another epoch, the same content";
  EXPECT_EQ(code_of([&] { wal.put_segment(segment('b'), index(5), 2); }), core::Code::kStoreConflict);
  EXPECT_EQ(code_of([&] { wal.put_segment(core::Bytes(10), index(6), 1); }), core::Code::kInvalidArgument);
  const auto data = make().read_segment(1, 5);
  ASSERT_TRUE(data);
  EXPECT_TRUE(data->complete);
  EXPECT_EQ(data->bytes, segment('a'));
  EXPECT_FALSE(make().read_segment(1, 6));
  EXPECT_FALSE(make().read_segment(2, 5));
}

TEST_F(WalStoreTest, TailsAddUpAcrossEpochsAndGapsEndThem) {
  WalStore wal = make();
  const core::Bytes bytes = content(kSize);
  const auto put = [&](std::size_t from, std::size_t to, std::uint64_t epoch) {
    wal.put_tail(core::ByteSpan(bytes).subspan(from, to - from), from, index(7), epoch);
  };
  put(0, 1000, 1);
  put(1000, 3000, 1);
  put(2000, 5000, 2);
  put(6000, 7000, 2);
  const auto listed = wal.list(1);
  ASSERT_EQ(listed.size(), 1U);
  EXPECT_EQ(listed[0].tails.size(), 4U);
  EXPECT_EQ(listed[0].contiguous(kSize), 5000U);
  auto data = wal.read_segment(1, 7);
  EXPECT_FALSE(data->complete);
  EXPECT_TRUE(std::ranges::equal(data->bytes, core::ByteSpan(bytes).first(5000)));
  put(0, 6500, 3);
  EXPECT_EQ(wal.read_segment(1, 7)->bytes.size(), 7000U);
  wal.remove_tails(1, 7, 0, 6500, listed[0].tails[0].key);
  EXPECT_EQ(wal.list(1)[0].tails.size(), 2U);
  EXPECT_TRUE(wal.put_segment(bytes, index(7), 3));
  EXPECT_EQ(wal.read_segment(1, 7)->bytes, bytes);
  EXPECT_TRUE(wal.list(1)[0].tails.empty());
}

TEST_F(WalStoreTest, TailsThatDisagreeAreAConflict) {
  WalStore wal = make();
  wal.put_tail(core::Bytes(1000, std::byte{1}), 0, index(7), 1);
  wal.put_tail(core::Bytes(1000, std::byte{2}), 500, index(7), 2);
  EXPECT_EQ(code_of([&] { (void)wal.read_segment(1, 7); }), core::Code::kStoreConflict);
}

TEST_F(WalStoreTest, NoSegmentTakesThePlaceOfAnotherServersTails) {
  WalStore wal = make();
  const auto tail = core::Bytes(1000, std::byte{'a'});
  wal.put_tail(tail, 0, index(7), 1);
  EXPECT_EQ(code_of([&] { wal.put_segment(segment('b'), index(7), 2); }), core::Code::kStoreConflict);
  EXPECT_EQ(wal.read_segment(1, 7)->bytes, tail);
  memory_->corrupt(wal.list(1)[0].tails[0].key, 100);
  EXPECT_TRUE(wal.put_segment(segment('b'), index(7), 2)) << "a damaged one says nothing";
  EXPECT_TRUE(wal.list(1)[0].tails.empty());
}

TEST_F(WalStoreTest, ATailThatDoesNotBeginTheSegmentIsNotReadable) {
  WalStore wal = make();
  wal.put_tail(core::Bytes(10), 100, index(7), 1);
  EXPECT_FALSE(wal.read_segment(1, 7));
  EXPECT_TRUE(wal.segment_indexes(1).empty());
  EXPECT_EQ(code_of([&] { wal.put_tail(core::Bytes(10), kSize - 5, index(7), 1); }), core::Code::kInvalidArgument);
}

TEST_F(WalStoreTest, WholeSegmentsOfTwoWritersMustAgree) {
  make().put_segment(segment('a'), index(5), 1);
  const std::string first = make().list(1)[0].complete[0];
  const core::Bytes object = *memory_->get(first);
  memory_->remove(std::vector<std::string>{first});
  make().put_segment(segment('b'), index(5), 2);
  memory_->put(first, object);
  EXPECT_EQ(code_of([&] { (void)make().read_segment(1, 5); }), core::Code::kStoreConflict);
}

TEST_F(WalStoreTest, ADamagedCopyDoesNotHideAGoodOne) {
  make().put_segment(segment('a'), index(5), 1);
  const std::string first = make().list(1)[0].complete[0];
  const core::Bytes object = *memory_->get(first);
  memory_->remove(std::vector<std::string>{first});
  make().put_segment(segment('a'), index(5), 2);
  memory_->put(first, object);
  memory_->corrupt(first, 100);
  EXPECT_EQ(make().read_segment(1, 5)->bytes, segment('a'));
  memory_->corrupt(make().list(1)[0].complete[1], 100);
  EXPECT_EQ(code_of([&] { (void)make().read_segment(1, 5); }), core::Code::kCorruptData);
}

TEST_F(WalStoreTest, ACopyThatIsListedAndGoneIsStoredAgain) {
  make().put_segment(segment('a'), index(5), 1);
  make().put_tail(core::Bytes(1000, std::byte{'a'}), 0, index(5), 1);
  const std::vector<std::string> listed = make().list(1)[0].complete;
  const auto store = std::make_shared<testing::InterruptedStore>(*memory_);
  const auto repository = Repository::open(store, key_, random_, clock_);
  store->at_call(3, [&] { memory_->remove(listed); });  // after the description and the list
  EXPECT_TRUE(WalStore(*repository, kInstance, kSize).put_segment(segment('a'), index(5), 2));
  const auto data = make().read_segment(1, 5);
  ASSERT_TRUE(data);
  EXPECT_EQ(data->bytes, segment('a'));
  EXPECT_TRUE(make().list(1)[0].tails.empty());
}

TEST_F(WalStoreTest, ADamagedCopyHoldsNoWriterUp) {
  make().put_segment(segment('a'), index(5), 1);
  const auto damage_footer = [&](const std::string& copy) { memory_->corrupt(copy, memory_->head(copy)->size - 40); };
  damage_footer(make().list(1)[0].complete[0]);
  EXPECT_TRUE(make().put_segment(segment('a'), index(5), 1)) << "its own is written again";
  damage_footer(make().list(1)[0].complete[0]);
  EXPECT_TRUE(make().put_segment(segment('a'), index(5), 2));
  EXPECT_EQ(make().list(1)[0].complete.size(), 2U) << "another one's is not touched";
  EXPECT_EQ(make().read_segment(1, 5)->bytes, segment('a'));
  EXPECT_FALSE(make().put_segment(segment('a'), index(5), 3)) << "one good copy is enough";
  memory_->corrupt(make().list(1)[0].complete[1], 100);
  EXPECT_TRUE(make().put_segment(segment('a'), index(5), 3)) << "no body is good";
  EXPECT_EQ(code_of([&] { make().put_segment(segment('b'), index(5), 3); }), core::Code::kStoreConflict);
}

TEST_F(WalStoreTest, ACopyWithADamagedBodyDoesNotTakeThePlaceOfTails) {
  const core::Bytes bytes = content(kSize);
  make().put_segment(bytes, index(5), 1);
  make().put_tail(core::ByteSpan(bytes).first(1000), 0, index(5), 1);
  memory_->corrupt(make().list(1)[0].complete[0], 1000);
  EXPECT_TRUE(make().put_segment(bytes, index(5), 2));
  const auto data = make().read_segment(1, 5);
  ASSERT_TRUE(data);
  EXPECT_EQ(data->bytes, bytes);
  EXPECT_TRUE(make().list(1)[0].tails.empty());
}

TEST_F(WalStoreTest, TailsAreReadWhereTheWholeIsDamaged) {
  const core::Bytes bytes = content(kSize);
  make().put_segment(bytes, index(5), 1);
  make().put_tail(core::ByteSpan(bytes).first(1000), 0, index(5), 1);
  memory_->corrupt(make().list(1)[0].complete[0], 1000);
  EXPECT_EQ(code_of([&] { (void)make().read_segment(1, 5); }), core::Code::kCorruptData) << "they are not all of it";
  make().put_tail(core::ByteSpan(bytes).subspan(1000), 1000, index(5), 1);
  const auto data = make().read_segment(1, 5);
  ASSERT_TRUE(data);
  EXPECT_EQ(data->bytes, bytes);
}

TEST_F(WalStoreTest, ADamagedTailOfAnotherWriterHoldsNobodyUp) {
  make().put_tail(core::Bytes(1000, std::byte{'a'}), 0, index(5), 1);
  const std::string tail = make().list(1)[0].tails[0].key;
  for (const std::size_t byte : {8U, 200U}) {  // the first is the version
    memory_->corrupt(tail, byte);
    EXPECT_TRUE(WalStore(*repository_, kInstance, kSize).put_segment(segment('a'), index(5), 2));
    memory_->remove(make().list(1)[0].complete);
    make().put_tail(core::Bytes(1000, std::byte{'a'}), 0, index(5), 1);
  }
}

TEST_F(WalStoreTest, WhatTakesThePlaceOfTailsDuringAListingIsListed) {
  WalStore wal = make();
  for (const std::uint64_t number : {5U, 7U}) wal.put_segment(segment('a'), index(number), 1);
  wal.put_tail(segment('b'), 0, index(6), 1);
  const auto replace = [&] { wal.put_segment(segment('b'), index(6), 1); };
  store_->during_next_list(replace);
  const auto all = wal.list_expected(1, 0, UINT64_MAX, 0);
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[1].contiguous(kSize), kSize);

  const core::Bytes bytes = segment('c');
  const core::ByteSpan begin(bytes);
  wal.put_tail(begin.first(1000), 0, index(8), 1);
  store_->during_next_list([&] {
    wal.put_tail(begin.first(2000), 0, index(8), 1);
    wal.remove_tails(1, 8, 0, 1000);
  });
  EXPECT_EQ(wal.list_expected(1, 8, 8, 8 * kSize + 2000).at(0).contiguous(kSize), 2000U);
  store_->during_next_list([&] { wal.put_segment(begin, index(8), 1); });
  EXPECT_EQ(wal.read_segment(1, 8)->bytes.size(), kSize);
  store_->during_next_list([&] { wal.put_segment(segment('d'), index(9), 1); });
  EXPECT_EQ(wal.list_expected(1, 5, 9, 10 * kSize).size(), 5U);
}

TEST_F(WalStoreTest, ListIgnoresWhatItDoesNotKnow) {
  WalStore wal = make();
  wal.put_segment(segment('a'), index(5), 1);
  wal.put_segment(segment('a'), index(9), 1);
  for (const char* const name : {"README", "0000", "000000010000000000000005", "000000010000000000000005.xyz",
                                 "000000010000000000000007.1.tail.5", "000000020000000000000006.00000001",
                                 "000000010000000000000007.00000001.tail.9-5", "gaps/1"}) {
    memory_->put(key(name), core::as_bytes("?"));
  }
  const auto listed = wal.list(1);
  ASSERT_EQ(listed.size(), 2U);
  EXPECT_EQ(listed[0].segment, 5U);
  EXPECT_EQ(listed[1].segment, 9U);
  EXPECT_EQ(wal.list(1, 6).size(), 1U);
  EXPECT_EQ(wal.list(1, 0, 8).size(), 1U);
  EXPECT_EQ(wal.list(1, 6, 8).size(), 0U);
}

TEST_F(WalStoreTest, HistoriesAndTimelines) {
  WalStore wal = make();
  wal.put_history(2, core::as_bytes("1\t0/3000000\tno recovery target specified\n"));
  wal.put_history(2, core::as_bytes("1\t0/3000000\tno recovery target specified\n"));
  EXPECT_EQ(code_of([&] { wal.put_history(2, core::as_bytes("other")); }), core::Code::kStoreConflict);
  EXPECT_EQ(core::as_text(wal.get_history(2).value()).substr(0, 2), "1\t");
  EXPECT_FALSE(wal.get_history(3));
  wal.put_segment(segment('a'), index(5), 1);
  wal.put_segment(segment('a'), index(5, 2), 1);
  wal.put_segment(segment('a'), index(9, 2), 1);
  wal.put_segment(segment('a'), index(5, 0x1f), 1);
  memory_->put(wal_prefix(kInstance) + "zzz", {});
  EXPECT_EQ(wal.timelines(), (std::vector<std::uint32_t>{1, 2, 0x1f}));
}

TEST_F(WalStoreTest, TheWindowEndIsOverwritten) {
  WalStore wal = make();
  EXPECT_FALSE(wal.window_end(1));
  wal.put_window_end(1, {clock_.now(), 100});
  wal.put_window_end(1, {clock_.now() + std::chrono::seconds(7), 200});
  EXPECT_EQ(wal.window_end(1)->lsn, 200U);
  EXPECT_EQ(wal.window_end(1)->time, clock_.now() + std::chrono::seconds(7));
}

TEST_F(WalStoreTest, IndexesComeFromRollUpsThenFootersAndAreKept) {
  constexpr std::uint64_t kFirst = 250;
  constexpr std::uint64_t kLast = 300;
  {
    WalStore wal = make();
    for (std::uint64_t n = kFirst; n <= kLast; ++n) wal.put_segment(segment('a'), index(n), 1);
    wal.put_tail(core::Bytes(100), 0, index(kLast + 1), 1);
  }
  WalStore wal = make();
  const std::uint64_t before = store_->calls();
  const auto indexes = wal.segment_indexes(1);
  ASSERT_EQ(indexes.size(), kLast - kFirst + 2);
  for (std::uint64_t n = kFirst; n <= kLast + 1; ++n) EXPECT_EQ(indexes[n - kFirst], index(n));
  // Two listings, two roll-ups (250-255, 256-287), footers of 288-300, one tail.
  EXPECT_EQ(store_->calls() - before, 2U + 2U + 13U + 1U);
  EXPECT_EQ(wal.segment_index(1, 270), index(270));
  EXPECT_EQ(wal.segment_indexes(1, 260, 270).size(), 11U);
  EXPECT_EQ(store_->calls() - before, 18U + 1U) << "only the listing of the second question";
  EXPECT_FALSE(wal.segment_index(1, 1000));
}

TEST_F(WalStoreTest, ADamagedWindowEndIsNone) {
  make().put_window_end(1, {clock_.now(), 100});
  memory_->corrupt(key("window-end"), 40);
  EXPECT_FALSE(make().window_end(1));
  store_->go_away();
  EXPECT_EQ(code_of([&] { (void)make().window_end(1); }), core::Code::kStoreUnreachable);
  store_->come_back();
  make().put_window_end(1, {clock_.now(), 200});
  EXPECT_EQ(make().window_end(1)->lsn, 200U);
}

TEST_F(WalStoreTest, ADamagedRollUpIsMadeUpForByTheSegments) {
  {
    WalStore wal = make();
    for (std::uint64_t n = 0; n < 20; ++n) wal.put_segment(segment('a'), index(n), 1);
  }
  memory_->corrupt(key("index/" + segment_name(1, 0, kSize) + ".00000001"), 100);
  const auto indexes = make().segment_indexes(1);
  ASSERT_EQ(indexes.size(), 20U);
  EXPECT_EQ(indexes[3], index(3));
}

TEST_F(WalStoreTest, ADamagedTailDoesNotHideThatOfAnotherEpoch) {
  WalStore wal = make();
  const core::Bytes bytes = content(kSize);
  const auto put = [&](std::size_t from, std::size_t to, std::uint64_t epoch) {
    wal.put_tail(core::ByteSpan(bytes).subspan(from, to - from), from, index(7), epoch);
  };
  put(0, 5000, 1);
  put(0, 3000, 2);
  put(2000, 5000, 2);
  const auto damage_footer = [&](std::size_t tail) {
    const std::string tail_key = wal.list(1)[0].tails[tail].key;
    memory_->corrupt(tail_key, memory_->head(tail_key)->size - 40);
  };
  damage_footer(1);
  ASSERT_EQ(wal.list(1)[0].tails[1].epoch, 2U);
  EXPECT_EQ(wal.read_segment(1, 7)->bytes.size(), 5000U);
  damage_footer(0);
  EXPECT_EQ(code_of([&] { (void)wal.read_segment(1, 7); }), core::Code::kCorruptData)
      << "nothing is as long as what was listed";
  put(0, 2500, 3);
  EXPECT_TRUE(std::ranges::equal(wal.read_segment(1, 7)->bytes, core::ByteSpan(bytes).first(5000)));
  EXPECT_EQ(wal.segment_indexes(1).at(0).commits, 2U);
}

TEST_F(WalStoreTest, TenThousandSegmentsAreAnsweredFromRollUps) {
  // Small bodies instead of ten thousand whole segments: what is timed is the index.
  {
    WalStore wal = make();
    const core::Bytes body = segment('a');
    for (std::uint64_t block = 0; block < 10'240 / 256; ++block) {
      core::json::array segments;
      for (std::uint64_t n = block * 256; n < (block + 1) * 256; ++n) {
        segments.push_back(to_json(index(n)));
        memory_->put(key(segment_name(1, n, kSize) + ".00000001"), {});
      }
      repository_->put_sealed({Kind::kWalIndex, key("index/" + segment_name(1, block * 256, kSize) + ".00000001")},
                              core::as_bytes(core::to_text(core::json::object{{"segments", segments}})));
    }
  }
  WalStore wal = make();
  const std::uint64_t before = store_->calls();
  EXPECT_EQ(wal.segment_indexes(1).size(), 10'240U);
  EXPECT_LE(store_->calls() - before, 50U);
}

TEST_F(WalStoreTest, MergingIndexesKeepsOrderAndExtremes) {
  SegmentIndex a = index(5);
  SegmentIndex b = index(5);
  b.first_commit_time = b.last_commit_time = b.min_commit_time = b.max_commit_time =
      *a.max_commit_time - std::chrono::hours(1);
  b.last_record_lsn += 1000;
  b.last_record_end += 1000;
  b.last_xid = 9999;
  b.restore_points.push_back({"before-upgrade", 77, clock_.now()});
  SegmentIndex merged;
  merged.merge(SegmentIndex{});
  EXPECT_FALSE(merged.min_commit_time);
  merged = a;
  merged.merge(b);
  EXPECT_EQ(merged.commits, 2U);
  EXPECT_EQ(merged.first_commit_time, a.first_commit_time);
  EXPECT_EQ(merged.last_commit_time, b.last_commit_time);
  EXPECT_EQ(merged.min_commit_time, b.min_commit_time);
  EXPECT_EQ(merged.max_commit_time, a.max_commit_time);
  EXPECT_EQ(merged.last_record_end, b.last_record_end);
  EXPECT_EQ(merged.last_xid, 9999U);
  EXPECT_EQ(merged.restore_points.size(), 1U);
  EXPECT_EQ(segment_index_from_json(to_json(merged)), merged);
}

TEST_F(WalStoreTest, AFailedWriteLeavesNothingHalf) {
  for (std::uint64_t n = 1;; ++n) {
    WalStore wal = make();
    store_->fail_call(n);
    bool failed = false;
    try {
      wal.put_segment(segment('a'), index(15 + 16 * n), 1);
    } catch (const core::Error&) {
      failed = true;
    }
    store_->come_back();
    WalStore fresh = make();
    const auto data = fresh.read_segment(1, 15 + 16 * n);
    if (data) EXPECT_EQ(data->bytes, segment('a'));
    EXPECT_TRUE(failed || data);
    EXPECT_NO_THROW(fresh.put_segment(segment('a'), index(15 + 16 * n), 1)) << "trying again works";
    if (!failed) break;
    ASSERT_LT(n, 50U);
  }
}

}  // namespace
}  // namespace backstay::repository
