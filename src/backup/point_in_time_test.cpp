// Streaming, times, branches: a real server and everything that can happen to its WAL.
#include <gtest/gtest.h>

#include "backup/testing/archive_fixture.h"
#include "core/error.h"
#include "postgres/replication_connection.h"
#include "repository/wal_store.h"

namespace backstay::backup {
namespace {

using testing::ArchiveFixture;
using testing::RecoveredServer;

constexpr auto kDeadline = std::chrono::seconds(60);

class PointInTimeTest : public ArchiveFixture {
 protected:
  PointInTimeTest() : instance_(add_instance(cluster_)) {
    cluster_.query("CREATE TABLE t (id int PRIMARY KEY, at timestamptz DEFAULT clock_timestamp())");
  }
  /// One that reads little ahead, and writes its proofs at every chance.
  std::unique_ptr<testing::RunningReceiver> receive_with_small_spool() {
    WalReceiverConfig config;
    config.instance = instance_;
    config.connection = cluster_.target();
    config.slot = "backstay";
    config.spool_directory = directory_.path() / "spool-small";
    config.spool_segments = 2;
    config.full_spool_patience = std::chrono::milliseconds(100);
    config.tail_interval = std::chrono::milliseconds(100);
    config.window_end_interval = std::chrono::milliseconds(1);
    config.first_retry = config.longest_retry = std::chrono::milliseconds(50);
    return std::make_unique<testing::RunningReceiver>(environment_, *repository_, config);
  }
  /// Waits for what only another thread can bring about.
  template <typename Condition>
  bool wait_for(const Condition& condition) {
    const auto end = clock_.steady_now() + kDeadline;
    while (!condition()) {
      if (clock_.steady_now() >= end) return false;
      clock_.wait({}, std::chrono::milliseconds(20));
    }
    return true;
  }
  void fill_segments(int count) {
    for (int i = 0; i < count; ++i) cluster_.query("SELECT pg_switch_wal(), txid_current()");
  }
  void start_archiving() {
    receiver_ = receive(instance_, cluster_.target());
    backup_ = take_backup(instance_, cluster_, &**receiver_);
  }
  core::Timestamp server_now() {
    return core::Timestamp(core::Duration(
        cluster_.query("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint").integer(0, 0)));
  }
  RecoveryPlan plan(const RecoveryTarget& target) {
    return WalArchive(*repository_, instance_).plan(target, clock_.now(), (*receiver_)->status().proven_end);
  }
  core::Code refusal(const RecoveryTarget& target) {
    try {
      plan(target);
    } catch (const core::Error& e) {
      return e.code();
    }
    return core::Code::kInternal;
  }
  bool send_all() { return (*receiver_)->send_all(kDeadline, {}); }
  /// Until the proof reaches the time, or the test runs out of time.
  void wait_for_proof(core::Timestamp time) {
    const auto end = clock_.steady_now() + kDeadline;
    while (clock_.steady_now() < end) {
      const auto proof = (*receiver_)->status().proven_end;
      if (proof && proof->time >= time) return;
      clock_.wait({}, std::chrono::milliseconds(20));
    }
    FAIL() << "the archive was not proven complete in time";
  }
  static std::int64_t count(RecoveredServer& server, const std::string& table = "t") {
    return server.query("SELECT count(*) FROM public." + table).integer(0, 0);
  }

  postgres::testing::TestCluster cluster_;
  std::string instance_;
  std::unique_ptr<testing::RunningReceiver> receiver_;
  repository::BackupRecord backup_;
};

TEST_F(PointInTimeTest, ComesBackToJustBeforeATableWasDropped) {
  start_archiving();
  cluster_.query("INSERT INTO t SELECT generate_series(1, 100)");
  const core::Timestamp before = server_now();
  cluster_.query("DROP TABLE t");
  ASSERT_TRUE(send_all());
  const RecoveryPlan planned = plan(ToTime{before});
  EXPECT_FALSE(planned.stop.inclusive);
  const auto recovered = recover_to(planned, "recovered");
  EXPECT_EQ(count(*recovered), 100);
  EXPECT_FALSE(cluster_.query("SELECT to_regclass('t') IS NOT NULL").truth(0, 0)) << "the source was touched";
}

TEST_F(PointInTimeTest, TimeJustAfterTheLastCommitNeedsNoFurtherTransaction) {
  start_archiving();
  cluster_.query("INSERT INTO t SELECT generate_series(1, 7)");
  const core::Timestamp after = server_now();
  wait_for_proof(after);
  const RecoveryPlan planned = plan(ToTime{after});
  EXPECT_TRUE(planned.stop.inclusive);
  EXPECT_EQ(count(*recover_to(planned, "recovered")), 7);
}

TEST_F(PointInTimeTest, LatestHasTheLastCommit) {
  start_archiving();
  for (int i = 0; i < 5; ++i) cluster_.query("INSERT INTO t VALUES (" + std::to_string(i) + ")");
  ASSERT_TRUE(send_all());
  EXPECT_EQ(count(*recover_to(plan(ToLatest{}), "recovered")), 5);
}

TEST_F(PointInTimeTest, TimesOutOfReachAreRefusedBeforeAnyWork) {
  const core::Timestamp early = server_now();
  start_archiving();
  EXPECT_EQ(refusal(ToTime{early}), core::Code::kRecoveryOutOfReach);
  EXPECT_EQ(refusal(ToTime{clock_.now() + std::chrono::hours(1)}), core::Code::kRecoveryOutOfReach);
  EXPECT_EQ(refusal(ToBackup{random_.uuid()}), core::Code::kRecoveryOutOfReach);
}

TEST_F(PointInTimeTest, ManySegmentsAreReplayed) {
  start_archiving();
  cluster_.query(
      "CREATE TABLE wide AS SELECT g AS id, repeat(md5(g::text), 20) AS text FROM generate_series(1, 80000) g");
  const core::Timestamp before = server_now();
  cluster_.query("DELETE FROM wide");
  cluster_.query("INSERT INTO wide SELECT g, repeat(md5(g::text), 20) FROM generate_series(1, 40000) g");
  ASSERT_TRUE(send_all());
  const RecoveryPlan planned = plan(ToTime{before});
  EXPECT_GT(planned.wal_bytes, 3U << 24);
  EXPECT_EQ(count(*recover_to(planned, "recovered"), "wide"), 80000);
}

TEST_F(PointInTimeTest, StoreThatGoesAwayLosesNothingAndCatchesUp) {
  start_archiving();
  store_->go_away();
  cluster_.query("INSERT INTO t SELECT generate_series(1, 1000)");
  const auto end = clock_.steady_now() + kDeadline;
  while (!(*receiver_)->status().store_away_since && clock_.steady_now() < end) {
    clock_.wait({}, std::chrono::milliseconds(20));
  }
  const auto away = (*receiver_)->status();
  EXPECT_TRUE(away.store_away_since);
  EXPECT_GT(away.bytes_at_risk, 0U);
  EXPECT_FALSE(away.last_error.empty());
  // The database goes on, and its slot keeps what is not stored.
  cluster_.query("INSERT INTO t SELECT generate_series(1001, 2000)");
  auto connection = cluster_.connect();
  const auto slot = postgres::read_slot(connection, "backstay");
  ASSERT_TRUE(slot && slot->restart_lsn);
  EXPECT_LE(*slot->restart_lsn, away.stored);
  store_->come_back();
  ASSERT_TRUE(send_all());
  EXPECT_FALSE((*receiver_)->status().store_away_since);
  EXPECT_EQ((*receiver_)->status().bytes_at_risk, 0U);
  EXPECT_EQ(count(*recover_to(plan(ToLatest{}), "recovered")), 2000);
}

TEST_F(PointInTimeTest, ReceiverGoesOnWhereItsPredecessorStopped) {
  start_archiving();
  cluster_.query("INSERT INTO t SELECT generate_series(1, 10)");
  ASSERT_TRUE(send_all());
  receiver_.reset();
  cluster_.query("INSERT INTO t SELECT generate_series(11, 20)");
  receiver_ = receive(instance_, cluster_.target());
  const core::Timestamp now = server_now();
  wait_for_proof(now);
  EXPECT_TRUE(WalArchive(*repository_, instance_).window((*receiver_)->status().proven_end).gaps.empty());
  EXPECT_EQ(count(*recover_to(plan(ToTime{now}), "recovered")), 20);
}

TEST_F(PointInTimeTest, SegmentThatIsMissingBeforeStoredOnesIsSentAgain) {
  start_archiving();
  receiver_.reset();
  // Another stream stores three segments while the slot still keeps the first of them.
  WalReceiverConfig config;
  config.instance = instance_;
  config.connection = cluster_.target();
  config.slot = "other";
  config.spool_directory = directory_.path() / "spool-other";
  auto other = std::make_unique<testing::RunningReceiver>(environment_, *repository_, config);
  const auto end = clock_.steady_now() + kDeadline;
  while (!(*other)->status().connected && clock_.steady_now() < end) clock_.wait({}, std::chrono::milliseconds(20));
  for (int i = 0; i < 3; ++i) {
    cluster_.query("INSERT INTO t VALUES (" + std::to_string(i) + ")");
    cluster_.query("SELECT pg_switch_wal()");
  }
  ASSERT_TRUE((*other)->send_all(kDeadline, {}));
  other.reset();
  auto connection = cluster_.connect();
  const auto slot = postgres::read_slot(connection, "backstay");
  ASSERT_TRUE(slot && slot->restart_lsn);
  repository::WalStore wal(*repository_, instance_);
  const auto first = postgres::segment_of(*slot->restart_lsn, wal.segment_size());
  const auto stored = wal.list(1, first, first);
  ASSERT_EQ(stored.size(), 1U);
  store_->remove(stored.front().complete);
  receiver_ = receive(instance_, cluster_.target());
  while (!(*receiver_)->status().connected && clock_.steady_now() < end) clock_.wait({}, std::chrono::milliseconds(20));
  ASSERT_TRUE(send_all());
  const auto again = wal.list(1, first, first);
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again.front().contiguous(wal.segment_size()), wal.segment_size());
}

TEST_F(PointInTimeTest, SpoolThatTakesNothingForAWhileLosesNothing) {
  start_archiving();
  const auto spool = directory_.path() / ("spool-" + instance_);
  files_.remove_all(spool);
  cluster_.query("SELECT pg_switch_wal()");
  cluster_.query("INSERT INTO t VALUES (1)");
  const auto end = clock_.steady_now() + kDeadline;
  while ((*receiver_)->status().last_error.empty() && clock_.steady_now() < end) {
    clock_.wait({}, std::chrono::milliseconds(20));
  }
  ASSERT_FALSE((*receiver_)->status().last_error.empty());
  files_.make_directories(spool, 0700);
  while (!(*receiver_)->status().connected && clock_.steady_now() < end) clock_.wait({}, std::chrono::milliseconds(20));
  EXPECT_TRUE(send_all());
}

TEST_F(PointInTimeTest, PresentTimeIsWithinReachOnceItIsProven) {
  start_archiving();
  cluster_.query("INSERT INTO t VALUES (1)");
  const core::Timestamp now = server_now();
  EXPECT_TRUE((*receiver_)->wait_until_proven(now, kDeadline, {}));
  EXPECT_TRUE(plan(ToTime{now}).stop.inclusive);
}

TEST_F(PointInTimeTest, ServerThatIsKilledIsFollowedAgain) {
  start_archiving();
  cluster_.query("INSERT INTO t SELECT generate_series(1, 10)");
  cluster_.stop(postgres::StopMode::kImmediate);
  cluster_.start();
  cluster_.query("INSERT INTO t SELECT generate_series(11, 20)");
  const core::Timestamp now = server_now();
  wait_for_proof(now);
  EXPECT_EQ(count(*recover_to(plan(ToTime{now}), "recovered")), 20);
}

TEST_F(PointInTimeTest, LostWalIsAGapThatTheNextBackupEnds) {
  start_archiving();
  cluster_.query("INSERT INTO t SELECT generate_series(1, 10)");
  ASSERT_TRUE(send_all());
  receiver_.reset();
  {
    auto connection = cluster_.connect();
    ASSERT_TRUE(postgres::drop_slot(connection, "backstay"));
  }
  for (int i = 0; i < 4; ++i) cluster_.query("SELECT pg_switch_wal(), txid_current()");
  cluster_.query("INSERT INTO t SELECT generate_series(11, 20)");
  cluster_.query("CHECKPOINT");
  cluster_.query("SELECT pg_switch_wal(), txid_current()");
  cluster_.query("CHECKPOINT");
  receiver_ = receive(instance_, cluster_.target());
  const core::Timestamp lost = server_now();
  wait_for_proof(lost);
  ASSERT_NE((*receiver_)->status().needs_base_backup, "");
  EXPECT_EQ(refusal(ToTime{lost}), core::Code::kRecoveryOutOfReach);
  backup_ = take_backup(instance_, cluster_, &**receiver_);
  const RecoveryWindow window = WalArchive(*repository_, instance_).window((*receiver_)->status().proven_end);
  EXPECT_EQ((*receiver_)->status().needs_base_backup, "") << "the backup is there";
  ASSERT_EQ(window.gaps.size(), 1U);
  EXPECT_LT(window.gaps[0].from, lost);
  EXPECT_GT(window.gaps[0].to, lost);
  EXPECT_EQ(refusal(ToTime{lost}), core::Code::kRecoveryOutOfReach);
  EXPECT_EQ(count(*recover_to(plan(ToLatest{}), "recovered")), 20);
}

TEST_F(PointInTimeTest, RecoveredInstanceIsABranchThatCanBeRecoveredAgain) {
  start_archiving();
  cluster_.query("INSERT INTO t SELECT generate_series(1, 10)");
  const core::Timestamp fork = server_now();
  cluster_.query("INSERT INTO t SELECT generate_series(11, 20)");
  ASSERT_TRUE(send_all());
  const auto branch = recover_to(plan(ToTime{fork}), "branch");
  ASSERT_EQ(count(*branch), 10);

  // The branch has an archive of its own.
  const std::string branch_instance = add_instance(branch->server());
  const auto target = branch->server().management_target();
  const auto branch_receiver = receive(branch_instance, target);
  take_backup(branch_instance, target, branch->server().description().paths.data(), &**branch_receiver);
  std::ignore = branch->query("INSERT INTO public.t SELECT generate_series(101, 105)");
  ASSERT_TRUE((*branch_receiver)->send_all(kDeadline, {}));
  WalArchive branch_archive(*repository_, branch_instance);
  const RecoveryPlan branch_plan =
      branch_archive.plan(ToLatest{}, clock_.now(), (*branch_receiver)->status().proven_end);
  EXPECT_EQ(branch_plan.timeline.value, 2U);
  const auto again = recover_to(branch_plan, "again");
  EXPECT_EQ(count(*again), 15);

  // And the first one is where it was.
  EXPECT_EQ(count(*recover_to(plan(ToLatest{}), "source-again")), 20);
}

TEST_F(PointInTimeTest, SlotThatGrewTooLargeIsAGapAndWantsANewBackup) {
  cluster_.query("ALTER SYSTEM SET max_slot_wal_keep_size = '32MB'");
  cluster_.query("SELECT pg_reload_conf()");
  receiver_ = receive_with_small_spool();
  backup_ = take_backup(instance_, cluster_, &**receiver_);
  cluster_.query("INSERT INTO t VALUES (1)");
  ASSERT_TRUE(send_all());
  store_->go_away();
  fill_segments(8);
  const core::Timestamp lost = server_now();
  cluster_.query("INSERT INTO t VALUES (2)");
  for (int i = 0; i < 2; ++i) {
    fill_segments(1);
    cluster_.query("CHECKPOINT");
  }
  {
    auto connection = cluster_.connect();
    ASSERT_EQ(postgres::read_slot(connection, "backstay")->wal_status, "lost") << "the database was not protected";
  }
  store_->come_back();
  ASSERT_TRUE(wait_for([&] { return !(*receiver_)->status().needs_base_backup.empty(); }));
  EXPECT_EQ(refusal(ToTime{lost}), core::Code::kRecoveryOutOfReach);
  ASSERT_TRUE(wait_for([&] { return (*receiver_)->status().connected; }));
  backup_ = take_backup(instance_, cluster_, &**receiver_);
  const auto window = WalArchive(*repository_, instance_).window((*receiver_)->status().proven_end);
  EXPECT_EQ((*receiver_)->status().needs_base_backup, "") << "the backup is there";
  ASSERT_EQ(window.gaps.size(), 1U);
  EXPECT_LT(window.gaps[0].from, lost);
  EXPECT_EQ(count(*recover_to(plan(ToLatest{}), "recovered")), 2);
}

TEST_F(PointInTimeTest, ServerThatLagsBehindProvesNothing) {
  receiver_ = receive_with_small_spool();
  backup_ = take_backup(instance_, cluster_, &**receiver_);
  store_->hold_writes();
  for (int i = 0; i < 4; ++i) {
    cluster_.query("INSERT INTO t SELECT g FROM generate_series(" + std::to_string(i * 1000) + ", " +
                   std::to_string(i * 1000 + 999) + ") g");
    fill_segments(1);
  }
  cluster_.query("INSERT INTO t VALUES (-1)");
  const core::Timestamp committed = server_now();
  const auto lsn = postgres::parse_lsn(cluster_.query("SELECT pg_current_wal_flush_lsn()").text(0, 0));
  store_->release_writes();
  ASSERT_TRUE(wait_for([&] {
    const auto proof = (*receiver_)->status().proven_end;
    if (!proof || proof->time < committed) return false;
    EXPECT_GE(proof->lsn, lsn) << "a commit before the proven time is not in the archive";
    return true;
  }));
}

TEST_F(PointInTimeTest, StoreThatKeepsAProofWaitingDoesNotHoldUpTheStream) {
  receiver_ = receive_with_small_spool();
  wait_for_proof(server_now());
  store_->hold_writes();
  // Long enough for a proof to be written at every turn; what is held waits for the end of the test.
  const auto proven = (*receiver_)->status().proven_end->time;
  EXPECT_TRUE(wait_for([&] { return (*receiver_)->status().proven_end->time > proven; }));
  cluster_.query("INSERT INTO t VALUES (1)");
  const auto lsn = postgres::parse_lsn(cluster_.query("SELECT pg_current_wal_flush_lsn()").text(0, 0));
  EXPECT_TRUE(wait_for([&] { return (*receiver_)->status().received >= lsn; }));
  store_->release_writes();
}

TEST_F(PointInTimeTest, ServerThatChangesItsTimelineIsFollowed) {
  start_archiving();
  cluster_.query("INSERT INTO t SELECT generate_series(1, 10)");
  cluster_.query("ALTER SYSTEM SET restore_command = 'false'");
  cluster_.stop();
  const auto signal_file = cluster_.paths().data() / "recovery.signal";
  files_.write_file_durably(signal_file, {}, 0600);
  postgres::give_to(files_, signal_file, cluster_.identity());
  cluster_.start();
  cluster_.query("INSERT INTO t SELECT generate_series(11, 20)");
  ASSERT_TRUE(wait_for([&] { return (*receiver_)->status().timeline.value == 2; }));
  const core::Timestamp now = server_now();
  wait_for_proof(now);
  EXPECT_TRUE(WalArchive(*repository_, instance_).window((*receiver_)->status().proven_end).gaps.empty());
  const RecoveryPlan planned = plan(ToTime{now});
  EXPECT_EQ(planned.timeline.value, 2U);
  EXPECT_EQ(planned.base.timeline, 1U);
  EXPECT_EQ(count(*recover_to(planned, "recovered")), 20);

  // A backup there needs the history of the timeline.
  store_->remove(std::vector<std::string>{repository::wal_prefix(instance_) + "00000002.history"});
  try {
    take_backup(instance_, cluster_, &**receiver_);
    FAIL() << "the backup cannot be recovered without the history";
  } catch (const core::Error& e) {
    EXPECT_EQ(e.code(), core::Code::kWalGap) << e.what();
  }
}

TEST_F(PointInTimeTest, RolesAreTheRequestsBeforeAnybodyConnects) {
  cluster_.query("CREATE ROLE app LOGIN PASSWORD 'old'");
  cluster_.query("CREATE ROLE other LOGIN PASSWORD 'other'");
  cluster_.query("CREATE DATABASE appdb OWNER app");
  start_archiving();
  postgres::HandOver hand_over;
  hand_over.recovered_role = "app";
  hand_over.recovered_database = "appdb";
  hand_over.access.role = "app2";
  hand_over.access.password = core::Secret("new");
  hand_over.access.database = "appdb2";
  const auto recovered = recover_to(plan(ToBackup{backup_.backup}), "recovered", hand_over);
  EXPECT_EQ(recovered
                ->query("SELECT rolname FROM pg_database d JOIN pg_roles r ON r.oid = datdba "
                        "WHERE datname = 'appdb2'")
                .text(0, 0),
            "app2");
  EXPECT_FALSE(recovered->query("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'other'").truth(0, 0));
}

TEST_F(PointInTimeTest, SubscriptionsAreDisabledWithoutAHandOverToo) {
  cluster_.query(
      "CREATE SUBSCRIPTION s CONNECTION 'dbname=nowhere' PUBLICATION p WITH (connect = false, slot_name = 's')");
  cluster_.query("ALTER SUBSCRIPTION s ENABLE");
  start_archiving();
  const auto recovered = recover_to(plan(ToBackup{backup_.backup}), "recovered");
  EXPECT_FALSE(recovered->query("SELECT subenabled FROM pg_subscription").truth(0, 0));
}

TEST_F(PointInTimeTest, TransactionThatWasPreparedCanBeCommittedAfterTheRecovery) {
  cluster_.query("ALTER SYSTEM SET max_prepared_transactions = 5");
  cluster_.query("ALTER SYSTEM SET max_locks_per_transaction = 300");
  cluster_.stop();
  cluster_.start();
  start_archiving();
  {
    auto session = cluster_.connect();
    session.execute("BEGIN");
    session.execute("INSERT INTO t VALUES (1), (2)");
    session.execute("SELECT count(pg_advisory_xact_lock(g)) FROM generate_series(1, 20000) g");
    session.execute("PREPARE TRANSACTION 'pending'");
  }
  ASSERT_TRUE(send_all());
  const auto recovered = recover_to(plan(ToLatest{}), "recovered");
  EXPECT_EQ(count(*recovered), 0);
  std::ignore = recovered->query("COMMIT PREPARED 'pending'");
  EXPECT_EQ(count(*recovered), 2);
}

TEST_F(PointInTimeTest, RecoveryGoesOnAfterItWasStopped) {
  start_archiving();
  cluster_.query("INSERT INTO t SELECT generate_series(1, 10)");
  ASSERT_TRUE(send_all());
  const RecoverRequest request = recover_request(plan(ToLatest{}), "recovered");
  for (const std::string phase : {"restore", "replay", "hand_over", "stop"}) {
    std::stop_source stop;
    const auto stop_there = [&](const Progress& progress) {
      if (progress.phase == phase) stop.request_stop();
    };
    try {
      recover(environment_, request, stop_there, stop.get_token());
    } catch (const core::Error& e) {
      EXPECT_EQ(e.code(), core::Code::kCancelled) << phase << ": " << e.what();
    }
  }
  recover(environment_, request, nullptr, {});
  EXPECT_EQ(count(*start_recovered("recovered")), 10);
}

TEST_F(PointInTimeTest, ReplayNeverTouchesATablespaceOfTheSource) {
  start_archiving();
  const auto place = cluster_.paths().root / "elsewhere";
  files_.make_directories(place, 0700);
  files_.set_owner(place, postgres::testing::test_identity()->uid, postgres::testing::test_identity()->gid);
  ASSERT_TRUE(send_all());
  RecoveryPlan planned = plan(ToLatest{});
  const core::Timestamp before = server_now();
  cluster_.query("INSERT INTO t VALUES (1)");
  cluster_.query("CREATE TABLESPACE later LOCATION '" + place.string() + "'");
  ASSERT_TRUE(send_all());
  EXPECT_EQ(refusal(ToLatest{}), core::Code::kRecoveryOutOfReach);
  EXPECT_FALSE(plan(ToTime{before}).stop.inclusive);
  ASSERT_TRUE(wait_for([&] { return !(*receiver_)->status().needs_base_backup.empty(); }));
  WalArchive archive(*repository_, instance_);
  const auto closed = archive.window((*receiver_)->status().proven_end);
  ASSERT_EQ(closed.gaps.size(), 1U);
  EXPECT_EQ(closed.latest, closed.gaps[0].from);
  EXPECT_TRUE(closed.needs_base_backup);
  EXPECT_FALSE(archive.plan(ToTime{*closed.latest}, clock_.now()).stop.inclusive) << "what the window shows is true";
  take_backup(instance_, cluster_, &**receiver_);
  EXPECT_EQ((*receiver_)->status().needs_base_backup, "");
  const auto open = archive.window((*receiver_)->status().proven_end);
  EXPECT_FALSE(open.needs_base_backup);
  ASSERT_EQ(open.gaps.size(), 1U);
  EXPECT_GE(*open.latest, open.gaps[0].to);
  // Should a plan not know of it, replay does.
  planned.stop = {.immediate = false, .lsn = postgres::Lsn{UINT64_MAX}, .inclusive = true};
  try {
    recover(environment_, recover_request(planned, "recovered"), nullptr, {});
    FAIL() << "a tablespace was made at the source's path";
  } catch (const core::Error& e) {
    EXPECT_EQ(e.code(), core::Code::kRecoveryFailed) << e.what();
  }
}

TEST_F(PointInTimeTest, ReplayThatOnlyWaitsIsAFailure) {
  start_archiving();
  cluster_.query("INSERT INTO t VALUES (1)");
  ASSERT_TRUE(send_all());
  RecoverRequest request = recover_request(plan(ToLatest{}), "recovered");
  request.restore_helper = directory_.path() / "never-answers";
  files_.write_file_durably(request.restore_helper, core::as_bytes("#!/bin/sh\nexec tail -f /dev/null\n"), 0755);
  request.stall_deadline = std::chrono::seconds(2);
  try {
    recover(environment_, request, nullptr, {});
    FAIL() << "the recovery ended without its WAL";
  } catch (const core::Error& e) {
    EXPECT_EQ(e.code(), core::Code::kRecoveryFailed);
    EXPECT_NE(std::string(e.what()).find("no progress"), std::string::npos) << e.what();
  }
}

TEST_F(PointInTimeTest, WalThatCannotBeFetchedStopsTheRecoveryInsteadOfEndingItShort) {
  start_archiving();
  // More than are fetched before the server asks for the first.
  fill_segments(8);
  cluster_.query("INSERT INTO t SELECT generate_series(1, 10)");
  ASSERT_TRUE(send_all());
  const RecoverRequest request = recover_request(plan(ToLatest{}), "recovered");
  const auto lose_store = [&](const Progress& progress) {
    // When the files are there: the first WAL is fetched before.
    if (progress.phase == "restore" && progress.done == progress.total) store_->go_away();
  };
  try {
    recover(environment_, request, lose_store, {});
    FAIL() << "the recovery ended without its WAL";
  } catch (const core::Error& e) {
    EXPECT_TRUE(e.retryable()) << e.what();
  }
  store_->come_back();
  recover(environment_, request, nullptr, {});
  EXPECT_EQ(count(*start_recovered("recovered")), 10);
}

}  // namespace
}  // namespace backstay::backup
