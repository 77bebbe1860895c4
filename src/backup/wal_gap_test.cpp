// A store that is away for longer than the server can keep WAL for it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "backup/change_collector.h"
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
constexpr auto kPoll = std::chrono::milliseconds(20);
constexpr const char* kConfig =
    "autovacuum = off\nmax_slot_wal_keep_size = '6MB'\nwal_keep_size = 0\nmin_wal_size = '2MB'\nmax_wal_size = '8MB'\n";

class WalGapTest : public testing::ArchiveFixture {
 protected:
  WalGapTest() : cluster_({.extra_config = kConfig, .segment_size = kSegment}), instance_(add_instance(cluster_)) {
    cluster_.connect().execute(
        "CREATE TABLE t (id int, v text); INSERT INTO t SELECT g, repeat('x', 500) FROM generate_series(1, 2000) g");
    WalReceiverConfig config;
    config.instance = instance_;
    config.connection = cluster_.target();
    config.slot = "backstay";
    config.spool_directory = directory_.path() / "spool";
    config.spool_segments = 2;
    config.full_spool_patience = std::chrono::milliseconds(100);
    config.tail_interval = std::chrono::milliseconds(100);
    config.first_retry = std::chrono::milliseconds(50);
    config.longest_retry = std::chrono::milliseconds(100);
    receiver_ = std::make_unique<testing::RunningReceiver>(environment_, *repository_, config);
    wait("connected", [&] { return status().connected; });
  }

  WalReceiverStatus status() { return (*receiver_)->status(); }
  template <typename Condition>
  void wait(const char* what, Condition condition) {
    const auto end = clock_.steady_now() + kDeadline;
    while (!condition()) {
      if (clock_.steady_now() >= end) throw core::Error(core::Code::kTimeout, what);
      clock_.wait({}, kPoll);
    }
  }
  BranchPoint checkpoint() {
    cluster_.query("CHECKPOINT");
    return {{1}, postgres::parse_lsn(cluster_.query("SELECT redo_lsn FROM pg_control_checkpoint()").text(0, 0))};
  }
  void write_wal(int megabytes) {
    cluster_.query(fmt::format("SELECT pg_logical_emit_message(false, 'much', repeat('m', {}))", megabytes << 20));
  }
  void change(int block) { cluster_.query(fmt::format("UPDATE t SET v = v WHERE ctid = '({},1)'", block)); }
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
  const auto row = cluster_.query("SELECT oid, pg_relation_filenode('t') FROM pg_database WHERE datname = 'postgres'");
  const RelationFork table{1663, static_cast<std::uint32_t>(row.integer(0, 0)),
                           static_cast<std::uint32_t>(row.integer(0, 1)), 0};
  const auto blocks = collected.changes.changed(table, 0, 60);
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

TEST_F(WalGapTest, GapEndsWhereStoringBeginsAgainAfterTheSlotWasLost) {
  store_->go_away();
  for (int i = 0; i <= kSegmentsToLimit; ++i) write_wal(1);
  wait("a gap", [&] { return status().gap.has_value(); });
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
  store_->come_back();
  wait("the stream again", [&] { return status().connected && !status().gap->open; });
  EXPECT_GT(status().gap->to + kSegment, lost.lsn);
  (*receiver_)->note_base_backup({lost.lsn.value - kSegment});
  EXPECT_NE(status().needs_base_backup, "") << "it began before WAL was stored again";
  take_backup(instance_, cluster_, &**receiver_);
  EXPECT_FALSE(status().gap);
  EXPECT_EQ(status().needs_base_backup, "");
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
