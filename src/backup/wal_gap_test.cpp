// A store that is away for longer than the server can keep WAL for it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "backup/change_collector.h"
#include "backup/incremental_facts.h"
#include "backup/testing/archive_fixture.h"
#include "postgres/replication_connection.h"
#include "repository/wal_store.h"

namespace backstay::backup {
namespace {

using postgres::Lsn;

constexpr std::uint64_t kSegment = 1U << 20;
/// So many segments later the server is near the end of what it keeps, and the next checkpoint takes nothing yet.
constexpr int kSegmentsToLimit = 4;
constexpr auto kDeadline = std::chrono::seconds(60);
constexpr const char* kConfig =
    "autovacuum = off\nmax_slot_wal_keep_size = '6MB'\nwal_keep_size = 0\nmin_wal_size = '2MB'\nmax_wal_size = '8MB'\n";

class WalGapTest : public testing::ArchiveFixture {
 protected:
  WalGapTest() : cluster_({.extra_config = kConfig, .segment_size = kSegment}), instance_(add_instance(cluster_)) {
    cluster_.connect().execute(
        "CREATE TABLE t (id int, v text); INSERT INTO t SELECT g, repeat('x', 500) FROM generate_series(1, 2000) g");
    start_receiver();
  }
  WalReceiverConfig receiver_config(std::uint64_t epoch) {
    WalReceiverConfig config;
    config.lease_epoch = epoch;
    config.drain_time = {};
    config.instance = instance_;
    config.connection = cluster_.target();
    config.slot = "backstay";
    config.spool_directory = directory_.path() / "spool";
    config.spool_segments = 2;
    config.full_spool_patience = std::chrono::milliseconds(100);
    config.tail_interval = std::chrono::milliseconds(100);
    config.first_retry = std::chrono::milliseconds(50);
    config.longest_retry = std::chrono::milliseconds(100);
    return config;
  }
  void start_receiver(std::uint64_t epoch = 1) {
    receiver_ = std::make_unique<testing::RunningReceiver>(environment_, *repository_, receiver_config(epoch));
    wait("connected", [&] { return status().connected; });
  }

  bool has_gap_file() { return files_.stat(directory_.path() / "spool" / "gap").has_value(); }
  /// As a kill leaves it: with the store away nothing more is written.
  void kill_and_start_receiver() {
    receiver_.reset();
    start_receiver(2);
  }
  WalReceiverStatus status() { return (*receiver_)->status(); }
  template <typename Condition>
  void wait(const char* what, Condition condition) {
    wait_for(kDeadline, what, std::move(condition));
  }
  BranchPoint checkpoint() {
    cluster_.query("CHECKPOINT");
    return {{1}, postgres::parse_lsn(cluster_.query("SELECT redo_lsn FROM pg_control_checkpoint()").text(0, 0))};
  }
  void write_wal(int megabytes) {
    cluster_.query(fmt::format("SELECT pg_logical_emit_message(false, 'much', repeat('m', {}))", megabytes << 20));
  }
  void change(int block) { cluster_.query(fmt::format("UPDATE t SET v = v WHERE ctid = '({},1)'", block)); }
  RelationFork table() {
    const auto row =
        cluster_.query("SELECT oid, pg_relation_filenode('t') FROM pg_database WHERE datname = 'postgres'");
    return {1663, static_cast<std::uint32_t>(row.integer(0, 0)), static_cast<std::uint32_t>(row.integer(0, 1)), 0};
  }
  postgres::SlotState slot() {
    auto connection = cluster_.connect();
    return *postgres::read_slot(connection, "backstay");
  }

  postgres::testing::TestCluster cluster_;
  std::string instance_;
  std::unique_ptr<testing::RunningReceiver> receiver_;
};

TEST_F(WalGapTest, LetsWalGoAtTheLimitAndKeepsTheMap) {
  const BranchPoint from = checkpoint();
  ASSERT_TRUE((*receiver_)->send_all(kDeadline, {}));
  store_->go_away();
  change(3);
  for (int i = 0; i < 8; ++i) {
    write_wal(1);
    change(10 + i);
    if (i == kSegmentsToLimit) wait("a gap", [&] { return status().gap.has_value(); });
  }
  const Lsn gone = status().gap->from;
  EXPECT_NE(status().needs_base_backup.find(postgres::format_lsn(gone)), std::string::npos);
  for (int i = 0; i < 12; ++i) {
    write_wal(1);
    change(30 + i);
    checkpoint();
    EXPECT_NE(slot().wal_status, "lost");
  }
  const BranchPoint in_gap = checkpoint();
  wait("all to be let go", [&] { return status().gap->to >= in_gap.lsn; });
  EXPECT_TRUE(slot().restart_lsn);
  EXPECT_TRUE(status().gap->open);
  EXPECT_LT(status().bytes_at_risk, 3 * kSegment) << "only what is in the spool";

  store_->come_back();
  wait("the gap's end", [&] { return !status().gap->open; });
  EXPECT_GT(status().gap->to, gone + 8 * kSegment);
  write_wal(1);
  change(50);
  const BranchPoint to = checkpoint();
  ASSERT_TRUE((*receiver_)->send_all(kDeadline, {}));
  ASSERT_TRUE((*receiver_)->store_page_changes(to.lsn, kDeadline, {}));
  const auto collected = collect_page_changes(
      *repository_,
      {.instance = instance_, .segment_size = kSegment, .from = from, .base_stop = from.lsn + 1, .to = to}, {});
  EXPECT_EQ(collected.unproven, "");
  const auto blocks = collected.changes.changed(table(), 0, 60);
  for (const std::uint32_t block : {3U, 10U, 17U, 30U, 41U, 50U}) {
    EXPECT_TRUE(std::ranges::binary_search(blocks, block)) << block;
  }

  // The archive has a hole of whole segments, and goes on behind it.
  repository::WalStore wal(*repository_, instance_, kSegment);
  Lsn end;
  std::size_t holes = 0;
  for (const auto& stored : wal.list(1)) {
    const Lsn start = postgres::segment_start(stored.segment, kSegment);
    if (end.valid() && start != end) ++holes;
    EXPECT_GT(stored.contiguous(kSegment), 0U);
    end = start + kSegment;
  }
  EXPECT_EQ(holes, 1U);
  const auto backup = take_backup(instance_, cluster_, &**receiver_);
  EXPECT_FALSE(status().gap);
  EXPECT_EQ(status().needs_base_backup, "");
}

TEST_F(WalGapTest, KilledInAGapItKnowsWhatChanged) {
  const auto base = take_backup(instance_, cluster_, &**receiver_);
  (*receiver_)->send_all(kDeadline, {});
  store_->go_away();
  change(3);
  const auto in_gap = [&](int first) {
    for (int i = first; i < first + 8; ++i) {
      write_wal(1);
      change(i);
      checkpoint();
    }
    const auto end = checkpoint().lsn;
    wait("all to be let go", [&] {
      const auto gap = status().gap;
      return gap && gap->open && gap->to >= end && *slot().restart_lsn + 2 * kSegment > end;
    });
  };
  for (int i = 0; i <= kSegmentsToLimit; ++i) write_wal(1);
  wait("a gap", [&] { return status().gap.has_value(); });
  in_gap(10);
  const auto gone = *status().gap;
  kill_and_start_receiver();
  EXPECT_LE(status().gap->from, gone.from);
  change(30);
  for (int i = 0; i <= kSegmentsToLimit; ++i) write_wal(1);
  wait("the gap to go on", [&] { return status().gap->open; });
  EXPECT_LE(status().gap->from, gone.from) << "nothing was stored in between";
  in_gap(40);
  EXPECT_NE(slot().wal_status, "lost");
  kill_and_start_receiver();
  change(60);
  checkpoint();
  store_->come_back();
  wait("the store again", [&] { return !status().store_away_since && status().stored >= status().received; });

  std::string unproven = "nobody has asked";
  BaseBackupRequest request{.repository = *repository_,
                            .instance = instance_,
                            .backup_id = random_.uuid(),
                            .data_directory = cluster_.paths().data(),
                            .connection = cluster_.target()};
  request.receiver = &**receiver_;
  std::vector<std::uint32_t> blocks;
  request.changes = [&](const ChangesRequest& changes, std::stop_token stop) {
    auto collected = collect_page_changes(*repository_, changes, std::move(stop));
    unproven = collected.unproven;
    blocks = collected.changes.changed(table(), 0, 70);
    return collected;
  };
  const auto incremental = take_base_backup(environment_, request, {}, {});
  EXPECT_EQ(unproven, "");
  EXPECT_EQ(facts_of(incremental).base, base.backup);
  for (const std::uint32_t block : {3U, 10U, 17U, 30U, 40U, 47U, 60U}) {
    EXPECT_TRUE(std::ranges::binary_search(blocks, block)) << block;
  }
  EXPECT_FALSE(status().gap);
  EXPECT_EQ(status().needs_base_backup, "");
  wait("the map to be in the store", [&] { return !has_gap_file(); });
}

TEST_F(WalGapTest, GapEndsWhereStoringBeginsAgainAfterTheSlotWasLost) {
  store_->go_away();
  for (int i = 0; i <= kSegmentsToLimit; ++i) write_wal(1);
  // Before the first WAL is let go there is no file, and nothing that it would have to tell of.
  wait("a gap", [&] { return has_gap_file(); });
  const auto restart = [&](const char* senders) {
    cluster_.query(fmt::format("ALTER SYSTEM SET max_wal_senders = {}", senders));
    cluster_.stop();
    cluster_.start();
  };
  restart("0");
  for (int i = 0; i < 3; ++i) {
    write_wal(4);
    checkpoint();
  }
  ASSERT_EQ(slot().wal_status, "lost");
  const BranchPoint lost = checkpoint();
  restart("10");
  wait("the loss", [&] { return status().needs_base_backup.starts_with("WAL was lost"); });
  EXPECT_TRUE(has_gap_file());
  store_->come_back();
  wait("the stream again", [&] { return status().connected && !status().gap->open; });
  EXPECT_GT(status().gap->to + kSegment, lost.lsn);
  wait("the file to go, of which a later start would make a gap up to then", [&] { return !has_gap_file(); });
  (*receiver_)->note_base_backup({lost.lsn.value - kSegment});
  EXPECT_NE(status().needs_base_backup, "") << "it began before WAL was stored again";
  take_backup(instance_, cluster_, &**receiver_);
  EXPECT_FALSE(status().gap);
  EXPECT_EQ(status().needs_base_backup, "");
}

TEST_F(WalGapTest, OlderCopyOfTheServerIsNotResumed) {
  ASSERT_TRUE((*receiver_)->send_all(kDeadline, {}));
  store_->go_away();
  for (int i = 0; i <= kSegmentsToLimit; ++i) write_wal(1);
  wait("a gap", [&] { return has_gap_file(); });
  receiver_.reset();
  store_->come_back();
  // What the server wrote after the copy was made.
  repository::SegmentIndex index;
  index.timeline = 1;
  index.segment = postgres::segment_of(checkpoint().lsn, kSegment) + 2;
  repository::WalStore(*repository_, instance_, kSegment).put_segment(core::Bytes(kSegment), index, 1);

  WalReceiver receiver(environment_, *repository_, receiver_config(2));
  std::stop_source late;
  const std::jthread guard([&](const std::stop_token& over) {
    if (clock_.wait(over, kDeadline)) late.request_stop();
  });
  try {
    receiver.run(late.get_token());
    ADD_FAILURE() << "resumed: " << receiver.status().last_error;
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::Code::kConflict) << error.what();
  }
  EXPECT_TRUE(has_gap_file());
}

TEST_F(WalGapTest, BackupThatIsToldOfLateIsBehindATablespace) {
  const auto base = checkpoint();
  const auto place = directory_.path() / "late";
  files_.make_directories(place, 0700);
  if (const auto user = postgres::testing::test_identity()) files_.set_owner(place, user->uid, user->gid);
  cluster_.query("CREATE TABLESPACE late LOCATION '" + place.string() + "'");
  const auto after = checkpoint();
  ASSERT_TRUE((*receiver_)->send_all(kDeadline, {}));
  EXPECT_EQ(status().needs_base_backup, "");
  (*receiver_)->note_base_backup(base.lsn);
  EXPECT_NE(status().needs_base_backup, "");
  (*receiver_)->note_base_backup(after.lsn);
  EXPECT_EQ(status().needs_base_backup, "");
}

TEST_F(WalGapTest, LosesNothingIfTheStoreIsBackBeforeTheLimit) {
  store_->go_away();
  write_wal(3);
  change(3);
  wait("a full spool", [&] { return !status().connected; });
  store_->come_back();
  ASSERT_TRUE((*receiver_)->send_all(kDeadline, {}));
  EXPECT_FALSE(status().gap);
  EXPECT_EQ(status().needs_base_backup, "");
}

}  // namespace
}  // namespace backstay::backup
