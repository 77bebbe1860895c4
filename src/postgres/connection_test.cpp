// Ordinary and replication connections to a real server.
#include "postgres/connection.h"

#include <filesystem>
#include <thread>

#include <unistd.h>

#include <gtest/gtest.h>

#include "core/error.h"
#include "postgres/replication_connection.h"
#include "postgres/testing/test_cluster.h"
#include "postgres/timeline_history.h"
#include "postgres/wal_parser.h"

namespace backstay::postgres {
namespace {

namespace fs = std::filesystem;
using core::Code;
using testing::TestCluster;

template <typename Action>
Code code_of(Action action) {
  try {
    action();
  } catch (const core::Error& e) {
    return e.code();
  }
  ADD_FAILURE() << "nothing was thrown";
  return Code::kInternal;
}

class ConnectionTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { cluster_ = new TestCluster(); }
  static void TearDownTestSuite() {
    delete cluster_;
    cluster_ = nullptr;
  }
  static TestCluster* cluster_;
};

TestCluster* ConnectionTest::cluster_ = nullptr;

TEST_F(ConnectionTest, AnswersWithRows) {
  auto connection = cluster_->connect();
  const auto rows = connection.query("SELECT $1::int + 1 AS next, NULL AS nothing, true", {"41"});
  EXPECT_EQ(rows.columns.at(0), "next");
  EXPECT_EQ(rows.integer(0, 0), 42);
  EXPECT_TRUE(rows.is_null(0, 1));
  EXPECT_TRUE(rows.truth(0, 2));
  EXPECT_THROW((void)rows.text(0, 1), core::Error);
  EXPECT_THROW((void)rows.text(1, 0), core::Error);
  EXPECT_GE(connection.server_version(), 130000);
  EXPECT_EQ(connection.execute("CREATE TEMP TABLE x (a int); INSERT INTO x VALUES (1), (2)").affected, 2u);
}

TEST_F(ConnectionTest, SpeaksOnlyToTheRightUsersServer) {
  auto target = cluster_->target();
  target.server_user = cluster_->identity() ? cluster_->identity()->uid : ::geteuid();
  EXPECT_EQ(Connection(target).query("SELECT 1").integer(0, 0), 1);
  target.server_user = *target.server_user + 1;
  EXPECT_EQ(code_of([&] { Connection{target}; }), Code::kDatabaseUnavailable);
}

TEST_F(ConnectionTest, TellsErrorsApartAndGoesOn) {
  auto connection = cluster_->connect();
  try {
    connection.query("SELECT 1 / 0");
    FAIL();
  } catch (const core::Error& e) {
    EXPECT_EQ(e.code(), Code::kDatabaseError);
    EXPECT_EQ(e.message(), "division by zero (SQLSTATE 22012)");
  }
  EXPECT_EQ(connection.query("SELECT 1").text(0, 0), "1");
  auto wrong = cluster_->target();
  wrong.password = core::Secret("wrong");
  EXPECT_EQ(code_of([&] { Connection{wrong}; }), Code::kDatabaseError);
  auto nobody = cluster_->target("no such database");
  EXPECT_EQ(code_of([&] { Connection{nobody}; }), Code::kDatabaseError);
  auto closed = cluster_->target();
  closed.port = 1;
  EXPECT_EQ(code_of([&] { Connection{closed}; }), Code::kDatabaseUnavailable);
}

TEST_F(ConnectionTest, GivesUpAtADeadline) {
  auto connection = cluster_->connect();
  EXPECT_EQ(code_of([&] { connection.query("SELECT pg_sleep(60)", {}, std::chrono::milliseconds(50)); }),
            Code::kTimeout);
  EXPECT_EQ(code_of([&] { connection.query("SELECT 1"); }), Code::kDatabaseUnavailable);
  const auto running = cluster_->query(
      "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' "
      "AND state = 'active'");
  EXPECT_EQ(running.text(0, 0), "0");
}

TEST_F(ConnectionTest, TakesNoAnswerThatWouldFillItsMemory) {
  auto connection = cluster_->connect();
  EXPECT_EQ(connection.query("SELECT repeat('x', 1000000) FROM generate_series(1, 40)").rows.size(), 40U);
  try {
    connection.query("SELECT repeat('x', 1000000) FROM generate_series(1, 1000)", {}, std::chrono::seconds(60));
    FAIL() << "a gigabyte was taken";
  } catch (const core::Error& e) {
    EXPECT_EQ(e.code(), Code::kDatabaseError);
    EXPECT_NE(e.message().find("more than 64.0 MiB"), std::string::npos) << e.message();
  }
  EXPECT_EQ(cluster_->connect().query("SELECT 1").integer(0, 0), 1);
}

TEST_F(ConnectionTest, StopsWhenAsked) {
  std::stop_source stop;
  Connection connection(cluster_->target(), stop.get_token());
  const std::jthread stopper([&] { stop.request_stop(); });
  EXPECT_EQ(code_of([&] { connection.query("SELECT pg_sleep(60)"); }), Code::kCancelled);
}

TEST_F(ConnectionTest, NoticesThatTheServerWentAway) {
  auto connection = cluster_->connect();
  const auto pid = connection.query("SELECT pg_backend_pid()").text(0, 0);
  cluster_->query("SELECT pg_terminate_backend(" + pid + ", 10000)");
  EXPECT_EQ(code_of([&] { connection.query("SELECT 1"); }), Code::kDatabaseUnavailable);
}

TEST_F(ConnectionTest, ReachesSocketsBelowLongPaths) {
  testing::TemporaryDirectory directory;
  const auto deep = directory.path() / std::string(100, 'd') / std::string(100, 'e');
  fs::create_directories(deep.parent_path());
  fs::create_directory_symlink(cluster_->paths().socket(), deep);
  auto target = cluster_->target();
  target.socket_directory = deep;
  Connection connection(target);
  EXPECT_EQ(connection.query("SELECT 1").text(0, 0), "1");
}

TEST_F(ConnectionTest, QuotesWhatCannotBeAParameter) {
  auto connection = cluster_->connect();
  for (const std::string text : {"plain", "it's", "back\\slash", "\"double\"", "both ' and \\'", "ünï"}) {
    EXPECT_EQ(connection.query("SELECT " + quote_literal(text)).text(0, 0), text);
    EXPECT_EQ(connection.query("SELECT 1 AS " + quote_identifier(text)).columns.at(0), text);
  }
}

TEST_F(ConnectionTest, MakesVerifiersThatTheServerTakes) {
  auto connection = cluster_->connect();
  for (const std::string password : {"simple", "with ' and \\ and space", "pässwörd"}) {
    const auto verifier = connection.password_verifier("someone", core::Secret(password));
    EXPECT_TRUE(verifier.reveal().starts_with("SCRAM-SHA-256$4096:"));
    connection.execute("DROP ROLE IF EXISTS someone; CREATE ROLE someone LOGIN PASSWORD " +
                       quote_literal(verifier.reveal()));
    EXPECT_EQ(connection.query("SELECT rolpassword FROM pg_authid WHERE rolname = 'someone'").text(0, 0),
              verifier.reveal());
  }
}

TEST_F(ConnectionTest, StreamsWalThroughASlot) {
  ReplicationConnection replication(cluster_->target());
  const auto identity = replication.identify_system();
  EXPECT_EQ(identity.timeline, (TimelineId{1}));
  EXPECT_EQ(std::to_string(identity.system_identifier),
            cluster_->query("SELECT system_identifier FROM pg_control_system()").text(0, 0));
  const auto size = replication.segment_size();
  EXPECT_EQ(size, kDefaultSegmentSize);
  EXPECT_TRUE(replication.create_physical_slot("the_slot"));
  EXPECT_FALSE(replication.create_physical_slot("the_slot"));
  EXPECT_THROW(replication.timeline_history({1}), core::Error);

  const auto from = segment_start(segment_of(identity.flushed, size), size);
  replication.start_streaming("the_slot", from, identity.timeline);
  auto connection = cluster_->connect();
  connection.execute("CREATE TABLE streamed AS SELECT generate_series(1, 1000) AS a");
  const auto restore_point = parse_lsn(connection.query("SELECT pg_create_restore_point('here')").text(0, 0));

  bool found = false;
  WalParser parser(size, [&](const WalRecord& record) {
    const auto event = decode_event(record);
    if (event && std::holds_alternative<RestorePoint>(*event)) found = true;
  });
  bool asked = false;
  for (int i = 0; i < 1000 && !(found && asked); ++i) {
    auto message = replication.receive(std::chrono::seconds(5));
    if (const auto* data = std::get_if<WalData>(&message)) {
      parser.feed(data->start, data->bytes);
      EXPECT_GE(data->server_end, data->start);
    }
    if (!found) continue;
    const auto keepalive = std::get_if<Keepalive>(&message);
    if (keepalive != nullptr && keepalive->server_end >= restore_point) asked = true;
    replication.send_status(*parser.position(), restore_point, restore_point, core::SystemClock().now(), !asked);
  }
  EXPECT_TRUE(found);
  EXPECT_TRUE(asked);
  auto slot = read_slot(connection, "the_slot");
  ASSERT_TRUE(slot);
  EXPECT_TRUE(slot->active);
  EXPECT_EQ(slot->wal_status, "reserved");
  EXPECT_TRUE(slot->safe_wal_size);
  replication.stop_streaming();
  EXPECT_EQ(replication.identify_system().timeline, (TimelineId{1}));
  EXPECT_EQ(read_slot(connection, "the_slot")->restart_lsn, restore_point);

  replication.start_streaming("the_slot", from, identity.timeline);
  EXPECT_TRUE(drop_slot(connection, "the_slot"));
  EXPECT_FALSE(drop_slot(connection, "the_slot"));
  EXPECT_FALSE(read_slot(connection, "the_slot"));
}

TEST_F(ConnectionTest, SaysWhenWalIsGone) {
  ReplicationConnection replication(cluster_->target());
  auto connection = cluster_->connect();
  const auto old =
      segment_start(segment_of(replication.identify_system().flushed, kDefaultSegmentSize), kDefaultSegmentSize);
  for (int i = 0; i < 12; ++i) connection.query("SELECT pg_switch_wal(), pg_create_restore_point('filler')");
  connection.execute("CHECKPOINT; CHECKPOINT");
  fs::remove(cluster_->paths().data() / "pg_wal" /
             segment_name({1}, segment_of(old, kDefaultSegmentSize), kDefaultSegmentSize));
  EXPECT_EQ(code_of([&] {
              replication.start_streaming("", old, {1});
              while (true) (void)replication.receive(std::chrono::seconds(5));
            }),
            Code::kWalGap);
}

TEST_F(ConnectionTest, StopsReceivingWhenAsked) {
  std::stop_source stop;
  ReplicationConnection replication(cluster_->target(), stop.get_token());
  EXPECT_TRUE(replication.create_physical_slot("passing", true));
  replication.start_streaming("", replication.identify_system().flushed, {1});
  const std::jthread stopper([&] { stop.request_stop(); });
  EXPECT_EQ(code_of([&] {
              while (true) (void)replication.receive(std::chrono::seconds(60));
            }),
            Code::kCancelled);
}

TEST(ReplicationTimelineTest, FollowsTheServerToItsNextTimeline) {
  testing::TestClusterOptions options;
  options.extra_config = "restore_command = 'false'\n";
  TestCluster cluster(options);
  const auto first =
      segment_start(segment_of(ReplicationConnection(cluster.target()).identify_system().flushed, kDefaultSegmentSize),
                    kDefaultSegmentSize);
  cluster.stop();
  os::RealFileSystem files;
  files.write_file_durably(cluster.paths().data() / "recovery.signal", {}, 0600);
  give_to(files, cluster.paths().data() / "recovery.signal", cluster.identity());
  cluster.start();

  ReplicationConnection replication(cluster.target());
  EXPECT_EQ(replication.identify_system().timeline, (TimelineId{2}));
  const auto history = parse_timeline_history(replication.timeline_history({2}));
  ASSERT_EQ(history.size(), 1u);
  EXPECT_EQ(history[0].timeline, (TimelineId{1}));

  replication.start_streaming("", first, {1});
  Lsn received;
  std::optional<EndOfTimeline> ended;
  while (!ended) {
    const auto message = replication.receive(std::chrono::seconds(30));
    ASSERT_FALSE(std::holds_alternative<NothingYet>(message));
    if (const auto* data = std::get_if<WalData>(&message)) received = data->start + data->bytes.size();
    if (const auto* end = std::get_if<EndOfTimeline>(&message)) ended = *end;
  }
  EXPECT_EQ(ended->next, (TimelineId{2}));
  EXPECT_EQ(ended->begin, history[0].end);
  EXPECT_EQ(received, history[0].end);

  // Nothing of the old timeline is left from here on.
  replication.start_streaming("", ended->begin, {1});
  const auto message = replication.receive(std::chrono::seconds(30));
  ASSERT_TRUE(std::holds_alternative<EndOfTimeline>(message));
  EXPECT_EQ(std::get<EndOfTimeline>(message).next, (TimelineId{2}));

  replication.start_streaming("", segment_start(segment_of(ended->begin, kDefaultSegmentSize), kDefaultSegmentSize),
                              {2});
  EXPECT_TRUE(std::holds_alternative<WalData>(replication.receive(std::chrono::seconds(30))));
}

TEST(ReplicationShutdownTest, EndsInGoodOrder) {
  TestCluster cluster;
  ReplicationConnection replication(cluster.target());
  const auto identity = replication.identify_system();
  replication.start_streaming("", segment_start(segment_of(identity.flushed, kDefaultSegmentSize), kDefaultSegmentSize),
                              {1});
  Lsn received;
  std::jthread stopper([&] { cluster.stop(); });
  bool closed = false;
  while (!closed) {
    const auto message = replication.receive(std::chrono::seconds(30));
    ASSERT_FALSE(std::holds_alternative<NothingYet>(message));
    closed = std::holds_alternative<StreamClosed>(message);
    const auto* const data = std::get_if<WalData>(&message);
    if (data == nullptr) continue;
    received = data->start + data->bytes.size();
    // Once for each: the server is gone when it has heard of the last.
    replication.send_status(received, received, received, core::SystemClock().now());
  }
  EXPECT_GT(received, identity.flushed);
}

}  // namespace
}  // namespace backstay::postgres
