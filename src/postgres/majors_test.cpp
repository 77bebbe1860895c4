// What differs between the majors, on a server of each: WAL as the server itself reads it, and pg_control.
#include <map>

#include <gtest/gtest.h>

#include "core/error.h"
#include "core/text.h"
#include "postgres/backup_session.h"
#include "postgres/control_file.h"
#include "postgres/testing/test_cluster.h"
#include "postgres/wal_parser.h"

namespace backstay::postgres {
namespace {

using testing::TestCluster;

constexpr std::uint64_t kSegment = 1U << 20;

/// One record as pg_walinspect and as we see it.
struct Seen {
  Lsn end;
  std::uint32_t xid = 0;
  std::int64_t length = 0;
  std::string description = {};
  bool operator==(const Seen& other) const { return end == other.end && xid == other.xid && length == other.length; }
};

class MajorsTest : public ::testing::TestWithParam<int> {
 protected:
  void work() const {
    auto connection = cluster_.connect();
    connection.execute("CREATE TABLE t (id serial PRIMARY KEY, v text); CHECKPOINT");
    for (int i = 0; i < 50; ++i) connection.query("INSERT INTO t (v) VALUES (repeat($1, 1000))", {std::to_string(i)});
    connection.execute(
        "BEGIN; INSERT INTO t (v) VALUES ('y'); SAVEPOINT a; CREATE TABLE no (a int); ROLLBACK TO a; COMMIT");
    connection.execute("BEGIN; CREATE TABLE gone (a int); ROLLBACK");
    connection.execute("BEGIN; INSERT INTO t (v) VALUES ('2pc'); DROP TABLE IF EXISTS no; PREPARE TRANSACTION 'one'");
    // Its statistics go with it: what a record says of them grew with 18.
    connection.execute("BEGIN; CREATE TABLE two (a int); CREATE TABLE three (a int); PREPARE TRANSACTION 'two'");
    connection.query("COMMIT PREPARED 'one'");
    connection.query("ROLLBACK PREPARED 'two'");
    connection.query("SELECT pg_create_restore_point('before the loss')");
    connection.query("CREATE DATABASE copied STRATEGY file_copy");
    connection.execute("UPDATE t SET v = v || 'w'; CREATE INDEX ON t (v)");
    connection.query("VACUUM t");
    connection.query("TRUNCATE t");
    connection.query("SELECT pg_logical_emit_message(false, 'large', repeat('m', 2000000))");
    connection.query("DROP TABLE t");
    connection.query("SELECT pg_switch_wal()");
    connection.query("CREATE TABLE last_one (a int)");
  }

  [[nodiscard]] Lsn lsn(const std::string& sql) const { return parse_lsn(cluster_.query(sql).text(0, 0)); }

  /// What the server says is between two places.
  [[nodiscard]] std::map<Lsn, Seen> judge(Lsn from, Lsn to) const {
    std::map<Lsn, Seen> result;
    const auto rows = cluster_.connect().query(
        "SELECT start_lsn, end_lsn, xid, record_length, resource_manager || ' ' || record_type || ' ' || "
        "coalesce(description, '') "
        "FROM pg_get_wal_records_info($1, $2)",
        {format_lsn(from), format_lsn(to)});
    for (std::size_t i = 0; i < rows.size(); ++i) {
      result[parse_lsn(rows.text(i, 0))] = {parse_lsn(rows.text(i, 1)), static_cast<std::uint32_t>(rows.integer(i, 2)),
                                            rows.integer(i, 3), rows.text(i, 4)};
    }
    return result;
  }

  [[nodiscard]] core::Bytes read_wal(Lsn from, Lsn to) const {
    os::RealFileSystem files;
    core::Bytes wal;
    for (auto segment = segment_of(from, kSegment); segment <= segment_of(to, kSegment); ++segment) {
      core::append(wal, files.read_file(cluster_.paths().data() / "pg_wal" / segment_name({1}, segment, kSegment)));
    }
    wal.resize(to - segment_start(segment_of(from, kSegment), kSegment));
    return wal;
  }

  TestCluster cluster_{{.extra_config = "max_prepared_transactions = 10\nwal_keep_size = '256MB'\n",
                        .segment_size = kSegment,
                        .major = GetParam()}};
};

std::size_t count_of(const std::map<Lsn, Seen>& records, std::string_view kind) {
  return static_cast<std::size_t>(std::ranges::count_if(
      records, [&](const auto& item) { return std::string_view(item.second.description).starts_with(kind); }));
}

void expect_time(const Seen& said, core::Timestamp when) {
  auto time = core::format_time(when);
  time[time.find('T')] = ' ';
  time.pop_back();
  EXPECT_NE(said.description.find(time), std::string::npos) << said.description << " is not " << time;
}

TEST_P(MajorsTest, ReadsTheWalAsTheServerDoes) {
  cluster_.query("CREATE EXTENSION pg_walinspect");
  cluster_.query("SELECT pg_switch_wal()");
  const auto begin = lsn("SELECT pg_current_wal_insert_lsn()");
  work();
  const auto end = lsn("SELECT pg_current_wal_insert_lsn()");
  cluster_.query("SELECT pg_switch_wal()");
  // The first record is the first after the header of its segment.
  const auto theirs = judge(begin, end);
  ASSERT_GT(theirs.size(), 300U);

  std::map<Lsn, Seen> ours;
  std::vector<WalEvent> events;
  WalParser parser(kSegment, [&](const WalRecord& record) {
    ours[record.start] = {record.end, record.xid, record.length};
    if (auto event = decode_event(record)) events.push_back(*event);
  });
  const auto wal = read_wal(begin, end);
  parser.feed(segment_start(segment_of(begin, kSegment), kSegment), wal);
  std::erase_if(ours, [&](const auto& item) { return item.first < begin; });
  EXPECT_EQ(parser.last_record_end(), end);
  ASSERT_EQ(ours.size(), theirs.size());
  for (const auto& [start, seen] : theirs) {
    ASSERT_TRUE(ours.contains(start)) << format_lsn(start) << ' ' << seen.description;
    // What a switch leaves empty is the server's part of its record, and not ours.
    if (seen.description.starts_with("XLOG SWITCH")) ours[start].end = seen.end;
    EXPECT_TRUE(ours.at(start) == seen) << format_lsn(start) << ' ' << seen.description;
  }

  std::size_t ends = 0;
  std::size_t points = 0;
  std::size_t switches = 0;
  for (const auto& event : events) {
    if (const auto* done = std::get_if<TransactionEnd>(&event); done != nullptr && done->start >= begin) {
      ++ends;
      const auto& said = theirs.at(done->start);
      expect_time(said, done->time);
      const bool commit = done->kind == TransactionEnd::Kind::kCommit;
      EXPECT_TRUE(said.description.starts_with(commit ? "Transaction COMMIT" : "Transaction ABORT"))
          << said.description;
      const bool named = said.description.find(fmt::format(" {}:", done->xid)) != std::string::npos;
      EXPECT_EQ(named, done->prepared) << said.description << " is about " << done->xid;
    } else if (const auto* point = std::get_if<RestorePoint>(&event)) {
      ++points;
      EXPECT_EQ(point->name, "before the loss");
    } else if (const auto* change = std::get_if<SegmentSwitch>(&event); change != nullptr && change->start >= begin) {
      ++switches;
    }
  }
  EXPECT_EQ(ends, count_of(theirs, "Transaction COMMIT") + count_of(theirs, "Transaction ABORT"));
  EXPECT_EQ(points, 1U);
  EXPECT_EQ(switches, 1U);
}

TEST_P(MajorsTest, ReadsTheControlFileAsTheServerDoes) {
  const auto system =
      cluster_.query("SELECT pg_control_version, catalog_version_no, system_identifier::text FROM pg_control_system()");
  const auto sizes = cluster_.query(
      "SELECT database_block_size, blocks_per_segment, bytes_per_wal_segment, data_page_checksum_version FROM "
      "pg_control_init()");
  cluster_.query("CHECKPOINT");
  const auto checkpoint = cluster_.query("SELECT checkpoint_lsn, redo_lsn, timeline_id FROM pg_control_checkpoint()");
  os::RealFileSystem files;
  const auto read = [&] { return parse_control_file(files.read_file(cluster_.paths().data() / kControlFilePath)); };
  const auto running = read();
  EXPECT_EQ(running.version, system.integer(0, 0));
  EXPECT_EQ(running.catalog_version, system.integer(0, 1));
  EXPECT_EQ(std::to_string(running.system_identifier), system.text(0, 2));
  EXPECT_EQ(running.block_size, sizes.integer(0, 0));
  EXPECT_EQ(running.relation_segment_blocks, sizes.integer(0, 1));
  EXPECT_EQ(running.wal_segment_size, sizes.integer(0, 2));
  EXPECT_EQ(running.data_checksum_version, sizes.integer(0, 3));
  EXPECT_EQ(running.state, ClusterState::kProduction);
  EXPECT_EQ(running.checkpoint, parse_lsn(checkpoint.text(0, 0)));
  EXPECT_EQ(running.checkpoint_redo, parse_lsn(checkpoint.text(0, 1)));
  EXPECT_EQ(running.checkpoint_timeline.value, checkpoint.integer(0, 2));
  EXPECT_EQ(running.limits.max_prepared_transactions, 10);
  EXPECT_EQ(running.limits.max_connections, 50);
  cluster_.stop();
  EXPECT_EQ(read().state, ClusterState::kShutDown);
  EXPECT_GT(read().checkpoint, running.checkpoint);
}

INSTANTIATE_TEST_SUITE_P(Postgres, MajorsTest, ::testing::ValuesIn(testing::kTestMajors),
                         ::testing::PrintToStringParamName());

}  // namespace
}  // namespace backstay::postgres
