// The map of changed pages in the store: kept by a receiver, completed from stored WAL.
#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "backup/change_collector.h"
#include "backup/testing/archive_fixture.h"
#include "repository/page_change_objects.h"
#include "repository/wal_store.h"

namespace backstay::backup {
namespace {

using postgres::Lsn;

constexpr std::uint64_t kSegment = 1U << 20;
constexpr auto kDeadline = std::chrono::seconds(60);
/// In the header of every object.
constexpr std::size_t kVersionAt = 8;
constexpr const char* kConfig = "autovacuum = off\nwal_keep_size = '1GB'\nrestore_command = 'false'\n";

class ChangeMapTest : public testing::ArchiveFixture {
 protected:
  ChangeMapTest() : cluster_({.extra_config = kConfig, .segment_size = kSegment}), instance_(add_instance(cluster_)) {
    cluster_.connect().execute(
        "CREATE TABLE t (id int, v text); INSERT INTO t SELECT g, repeat('x', 500) FROM generate_series(1, 4000) g");
    const auto row =
        cluster_.query("SELECT d.oid, pg_relation_filenode('t') FROM pg_database d WHERE datname = 'postgres'");
    table_ = {1663, static_cast<std::uint32_t>(row.integer(0, 0)), static_cast<std::uint32_t>(row.integer(0, 1)), 0};
  }

  BranchPoint checkpoint() {
    cluster_.query("CHECKPOINT");
    const auto row = cluster_.query("SELECT timeline_id, redo_lsn FROM pg_control_checkpoint()");
    return {{static_cast<std::uint32_t>(row.integer(0, 0))}, postgres::parse_lsn(row.text(0, 1))};
  }
  /// Of the first blocks of the table, and enough WAL for some segments.
  void change(int blocks) {
    cluster_.query(fmt::format("UPDATE t SET v = v WHERE ctid < '({},0)'", blocks));
    cluster_.query("SELECT pg_logical_emit_message(false, 'much', repeat('m', 2500000))");
  }
  CollectedChanges collect(const BranchPoint& from, const BranchPoint& to) {
    return collect_page_changes(
        *repository_,
        {.instance = instance_, .segment_size = kSegment, .from = from, .base_stop = from.lsn + 1, .to = to}, {});
  }
  void remove(std::string_view what) {
    for (const auto& key : memory_.keys()) {
      if (key.find(what) != std::string::npos) store_->remove(std::vector<std::string>{key});
    }
  }
  /// As a later version would write it, or a bad disk.
  void make_unreadable(const std::string& key) {
    auto object = *memory_.get(key);
    object[kVersionAt] = std::byte{200};
    memory_.put(key, object);
  }
  /// Objects may begin before what is asked for and end behind it.
  void expect_more(const CollectedChanges& more, const CollectedChanges& less) const {
    EXPECT_TRUE(std::ranges::includes(more.changes.changed(table_, 0, 1000), less.changes.changed(table_, 0, 1000)));
  }
  void wait_until_stored(WalReceiver& receiver, Lsn lsn) {
    ASSERT_TRUE(receiver.wait_until_stored(lsn, kDeadline, {}));
  }

  postgres::testing::TestCluster cluster_;
  std::string instance_;
  RelationFork table_;
};

TEST_F(ChangeMapTest, NeedsNoWalWhereTheReceiverWasAtWork) {
  const auto receiver = receive(instance_, cluster_.target());
  const BranchPoint from = checkpoint();
  wait_until_stored(**receiver, from.lsn);
  change(20);
  const BranchPoint middle = checkpoint();
  ASSERT_TRUE((*receiver)->store_page_changes(middle.lsn, kDeadline, {}));
  change(3);
  const BranchPoint to = checkpoint();
  ASSERT_TRUE((*receiver)->store_page_changes(to.lsn, kDeadline, {}));
  EXPECT_GE((*receiver)->status().changes_stored, 2U);
  wait_until_stored(**receiver, to.lsn);

  const auto exact = collect(from, to);
  EXPECT_EQ(exact.unproven, "");
  EXPECT_GE(exact.objects_read, 1U);
  EXPECT_GE(exact.segments_read, 1U) << "the first object begins before what is asked for";
  std::map<std::string, core::Bytes> wal;
  for (const auto& key : memory_.keys()) {
    if (key.find("/wal/") != std::string::npos) wal[key] = *memory_.get(key);
  }
  remove("/wal/");
  const auto kept = collect(from, to);
  for (const auto& [key, content] : wal) memory_.put(key, content);
  EXPECT_EQ(kept.unproven, "");
  EXPECT_GE(kept.objects_read, 2U);
  expect_more(kept, exact);
  EXPECT_EQ(kept.segments_read, 0U);
  EXPECT_TRUE(std::ranges::binary_search(kept.changes.changed(table_, 0, 200), 19U));

  for (const auto& key : memory_.keys()) {
    if (key.find("/changes/") != std::string::npos) memory_.corrupt(key, 60);
  }
  const auto read = collect(from, to);
  EXPECT_EQ(read.unproven, "");
  EXPECT_EQ(read.objects_read, 0U);
  EXPECT_GE(read.segments_read, 5U);
  EXPECT_FALSE(std::ranges::binary_search(read.changes.changed(table_, 0, 200), 100U));
  expect_more(kept, read);
  for (const auto& key : memory_.keys()) {
    if (key.find("/changes/") != std::string::npos) make_unreadable(key);
  }
  EXPECT_EQ(collect(from, to).changes, read.changes) << "of a version that this program does not know";
  remove("/changes/");
  EXPECT_EQ(collect(from, to).changes, read.changes);
}

TEST_F(ChangeMapTest, GoesOnWithoutAHoleWhenTheReceiverIsStartedAgain) {
  auto receiver = receive(instance_, cluster_.target());
  const BranchPoint from = checkpoint();
  wait_until_stored(**receiver, from.lsn);
  // As a backup does that begins here: what is kept from then on begins here, too.
  ASSERT_TRUE((*receiver)->store_page_changes(from.lsn, kDeadline, {}));
  change(5);
  ASSERT_TRUE((*receiver)->send_all(kDeadline, {}));
  receiver.reset();
  change(15);
  receiver = receive(instance_, cluster_.target());
  change(10);
  const BranchPoint to = checkpoint();
  wait_until_stored(**receiver, to.lsn);
  ASSERT_TRUE((*receiver)->store_page_changes(to.lsn, kDeadline, {}));
  const auto kept = collect(from, to);
  EXPECT_EQ(kept.unproven, "");
  EXPECT_GE(kept.objects_read, 1U);
  remove("/changes/");
  const auto read = collect(from, to);
  expect_more(kept, read);
  EXPECT_TRUE(std::ranges::binary_search(kept.changes.changed(table_, 0, 200), 14U));
}

TEST_F(ChangeMapTest, FollowsTheBranch) {
  const auto receiver = receive(instance_, cluster_.target());
  const BranchPoint from = checkpoint();
  wait_until_stored(**receiver, from.lsn);
  change(8);
  ASSERT_TRUE((*receiver)->send_all(kDeadline, {}));
  cluster_.stop();
  const auto signal = cluster_.paths().data() / "recovery.signal";
  files_.write_file_durably(signal, {}, 0644);
  cluster_.start();
  change(12);
  const BranchPoint to = checkpoint();
  ASSERT_EQ(to.timeline.value, 2U);
  ASSERT_TRUE((*receiver)->store_page_changes(to.lsn, kDeadline, {}));
  wait_until_stored(**receiver, to.lsn);
  const auto kept = collect(from, to);
  EXPECT_EQ(kept.unproven, "");
  EXPECT_TRUE(std::ranges::binary_search(kept.changes.changed(table_, 0, 200), 7U));
  remove("/changes/");
  const auto read = collect(from, to);
  EXPECT_EQ(read.unproven, "");
  EXPECT_GE(read.segments_read, 5U);
  expect_more(kept, read);

  auto beyond = ChangesRequest{.instance = instance_, .segment_size = kSegment, .from = from, .to = to};
  beyond.base_stop = to.lsn;
  EXPECT_NE(collect_page_changes(*repository_, beyond, {}).unproven.find("timeline 1"), std::string::npos);
  remove(".history");
  EXPECT_NE(collect(from, to).unproven.find("history"), std::string::npos);
}

TEST_F(ChangeMapTest, SaysWhyNothingIsProven) {
  auto receiver = receive(instance_, cluster_.target());
  const BranchPoint from = checkpoint();
  change(2);
  const BranchPoint to = checkpoint();
  wait_until_stored(**receiver, to.lsn);
  receiver.reset();
  remove("/changes/");
  const auto beyond = collect(from, {to.timeline, to.lsn + 100 * kSegment});
  EXPECT_NE(beyond.unproven.find("does not reach"), std::string::npos);
  EXPECT_TRUE(beyond.wal_missing);
  const Lsn middle = postgres::segment_start(postgres::segment_of(from.lsn, kSegment) + 1, kSegment);
  const auto name = postgres::segment_name({1}, postgres::segment_of(middle, kSegment), kSegment);
  for (const auto& key : memory_.keys()) {
    if (key.find(name) != std::string::npos) make_unreadable(key);
  }
  const auto unreadable = collect(from, to);
  EXPECT_NE(unreadable.unproven.find("format version 200"), std::string::npos);
  EXPECT_FALSE(unreadable.wal_missing);
  remove(name);
  const auto hole = collect(from, to);
  EXPECT_NE(hole.unproven.find(postgres::format_lsn(middle) + " on is not in the archive"), std::string::npos)
      << hole.unproven;
  EXPECT_TRUE(hole.wal_missing);
  EXPECT_EQ(hole.changes.changed(table_, 0, 9).size(), 9U);

  PageChanges unknown;
  unknown.note_unproven("an extension's record");
  repository::put_page_changes(*repository_, instance_,
                               {.timeline = 1, .from = from.lsn.value, .to = to.lsn.value, .epoch = 9},
                               unknown.encode());
  EXPECT_EQ(collect(from, to).unproven, "an extension's record");
  EXPECT_THROW(collect(to, from), core::Error);
}

}  // namespace
}  // namespace backstay::backup
