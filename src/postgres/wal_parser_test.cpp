// The parser against a real server's WAL, with pg_waldump as the judge.
#include "postgres/wal_parser.h"

#include <filesystem>
#include <map>

#include <gtest/gtest.h>

#include "codec/crc32c.h"
#include "core/error.h"
#include "core/text.h"
#include "os/process.h"
#include "postgres/page_effects.h"
#include "postgres/testing/test_cluster.h"

namespace backstay::postgres {
namespace {

namespace fs = std::filesystem;
using testing::TestCluster;
using testing::TestClusterOptions;

constexpr std::uint64_t kSegment = 1u << 20;  // small, so that records cross segments

/// One record as pg_waldump and as we see it.
struct Seen {
  std::string manager;
  std::uint32_t length = 0;
  std::uint32_t xid = 0;
  auto operator<=>(const Seen&) const = default;
};

class WalParserTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    TestClusterOptions options;
    options.segment_size = kSegment;
    options.extra_config = "max_prepared_transactions = 10\nwal_keep_size = '1GB'\n";
    server_cluster = new TestCluster(options);
    wal_begin = segment_start(segment_of(now(), kSegment), kSegment);
    work();
    wal_end = now();
    server_cluster->query("SELECT pg_switch_wal()");  // so that the segment of wal_end is whole on disk
  }
  static void TearDownTestSuite() {
    delete server_cluster;
    server_cluster = nullptr;
  }

  static Lsn now() { return parse_lsn(server_cluster->query("SELECT pg_current_wal_insert_lsn()").text(0, 0)); }

  static void work() {
    auto connection = server_cluster->connect();
    connection.execute("CREATE TABLE t (id serial PRIMARY KEY, v text); CHECKPOINT");
    for (int i = 0; i < 200; ++i) connection.query("INSERT INTO t (v) VALUES (repeat($1, 1000))", {std::to_string(i)});
    connection.execute(
        "BEGIN; INSERT INTO t (v) VALUES ('x'); SAVEPOINT a; INSERT INTO t (v) VALUES ('y'); "
        "ROLLBACK TO a; INSERT INTO t (v) VALUES ('z'); COMMIT");
    connection.execute("BEGIN; INSERT INTO t (v) VALUES ('gone'); ROLLBACK");
    connection.execute("BEGIN; INSERT INTO t (v) VALUES ('2pc'); PREPARE TRANSACTION 'one'");
    connection.execute("BEGIN; CREATE TABLE two (a int); PREPARE TRANSACTION 'two'");
    connection.query("COMMIT PREPARED 'one'");
    connection.query("ROLLBACK PREPARED 'two'");
    connection.query("SELECT pg_create_restore_point('before the loss')");
    connection.query("SELECT pg_switch_wal()");
    // Full page images, large records and a truncation: records far larger than what the parser keeps.
    connection.execute("UPDATE t SET v = v || 'w'; CREATE INDEX ON t (v); TRUNCATE t");
    // One record larger than a segment.
    connection.query("SELECT pg_logical_emit_message(false, 'large', repeat('m', 3000000))");
    connection.query("DROP TABLE t");
    connection.query("SELECT pg_switch_wal()");
    connection.query("CREATE TABLE last_one (a int)");
  }

  static core::Bytes read_wal(Lsn from, Lsn to) {
    os::RealFileSystem files;
    core::Bytes result;
    for (auto segment = segment_of(from, kSegment); segment <= segment_of(to, kSegment); ++segment) {
      core::append(result,
                   files.read_file(server_cluster->paths().data() / "pg_wal" / segment_name({1}, segment, kSegment)));
    }
    result.erase(result.begin(), result.begin() + static_cast<std::ptrdiff_t>(segment_offset(from, kSegment)));
    result.resize(to - from);
    return result;
  }

  static std::string waldump(Lsn from, Lsn to) {
    os::SystemProcessRunner runner;
    os::Command command;
    command.argv = {server_cluster->installation().program("pg_waldump").string(),
                    "--path=" + (server_cluster->paths().data() / "pg_wal").string(), "--start=" + format_lsn(from),
                    "--end=" + format_lsn(to)};
    command.environment = {{"TZ", "UTC"}};
    command.identity = server_cluster->identity();
    command.output_limit = 64u << 20;
    return os::run_checked(runner, command, {}).output;
  }

  /// "rmgr: Heap  len (rec/tot): 54/54, tx: 735, lsn: 0/01501000, prev 0/…, desc: …"
  static std::map<Lsn, Seen> judge(Lsn from, Lsn to, std::map<Lsn, std::string>* descriptions = nullptr) {
    std::map<Lsn, Seen> result;
    for (const auto& line : core::split(waldump(from, to), '\n')) {
      if (!line.starts_with("rmgr: ")) continue;
      const auto after = [&](const char* mark) {
        const auto at = line.find(mark) + std::string_view(mark).size();
        return std::string(core::trim(line.substr(at, line.find(',', at) - at)));
      };
      const auto lengths = after("len (rec/tot):");
      Seen seen;
      seen.manager = line.substr(6, line.find(' ', 6) - 6);
      seen.length = static_cast<std::uint32_t>(std::stoul(lengths.substr(lengths.find('/') + 1)));
      seen.xid = static_cast<std::uint32_t>(std::stoul(after("tx:")));
      const auto lsn = parse_lsn(after("lsn:"));
      result[lsn] = seen;
      if (descriptions != nullptr) (*descriptions)[lsn] = line.substr(line.find("desc: ") + 6);
    }
    return result;
  }

  static TestCluster* server_cluster;
  static Lsn wal_begin;
  static Lsn wal_end;
};

TestCluster* WalParserTest::server_cluster = nullptr;
Lsn WalParserTest::wal_begin;
Lsn WalParserTest::wal_end;

std::map<Lsn, Seen> parse(Lsn from, core::ByteSpan wal, std::size_t piece, std::vector<WalEvent>* events = nullptr) {
  std::map<Lsn, Seen> result;
  Lsn last_end;
  WalParser parser(kSegment, [&](const WalRecord& record) {
    EXPECT_GE(record.start, last_end);
    last_end = record.end;
    result[record.start] = {"", record.length, record.xid};
    if (events == nullptr) return;
    if (auto event = decode_event(record)) events->push_back(*event);
  });
  for (std::size_t at = 0; at < wal.size(); at += piece) {
    parser.feed(from + at, wal.subspan(at, std::min(piece, wal.size() - at)));
  }
  if (!result.empty()) {
    EXPECT_EQ(parser.last_record_start(), result.rbegin()->first);
  }
  EXPECT_EQ(parser.last_record_end().value_or(Lsn{}), last_end);
  EXPECT_EQ(parser.position(), from + wal.size());
  EXPECT_EQ(parser.timeline(), (TimelineId{1}));
  EXPECT_FALSE(parser.at_end());
  return result;
}

void expect_same(const std::map<Lsn, Seen>& ours, std::map<Lsn, Seen> theirs) {
  for (auto& [lsn, seen] : theirs) seen.manager.clear();
  ASSERT_EQ(ours.size(), theirs.size());
  for (const auto& [lsn, seen] : theirs) {
    ASSERT_TRUE(ours.contains(lsn)) << format_lsn(lsn);
    EXPECT_EQ(ours.at(lsn), seen) << format_lsn(lsn);
  }
}

/// "blkref #0: rel 1663/5/1259 fork vm blk 0 FPW"
std::vector<BlockReference> judged_blocks(std::string_view description) {
  constexpr std::string_view kMark = "blkref #";
  std::vector<BlockReference> result;
  for (auto at = description.find(kMark); at != std::string_view::npos; at = description.find(kMark, at + 1)) {
    const auto words = core::split(description.substr(description.find("rel ", at)), ' ');
    const auto numbers = core::split(words[1], '/');
    BlockReference reference;
    reference.of.tablespace = static_cast<std::uint32_t>(std::stoul(std::string(numbers.at(0))));
    reference.of.database = static_cast<std::uint32_t>(std::stoul(std::string(numbers.at(1))));
    reference.of.relation = static_cast<std::uint32_t>(std::stoul(std::string(numbers.at(2))));
    const bool fork = words[2] == "fork";
    if (fork) reference.of.fork = words[3] == "fsm" ? 1 : words[3] == "vm" ? 2 : 3;
    reference.block = static_cast<std::uint32_t>(std::stoul(std::string(words.at(fork ? 5 : 3))));
    result.push_back(reference);
  }
  return result;
}

TEST_F(WalParserTest, NamesEveryBlockThatPgWaldumpDoes) {
  std::map<Lsn, std::string> descriptions;
  judge(wal_begin, wal_end, &descriptions);
  std::size_t blocks = 0;
  std::size_t limits = 0;
  PageEffects effects;
  WalParser parser(kSegment, [&](const WalRecord& record) {
    read_page_effects(record, effects);
    EXPECT_EQ(effects.unknown, "");
    EXPECT_EQ(effects.blocks, judged_blocks(descriptions[record.start])) << descriptions[record.start];
    blocks += effects.blocks.size();
    limits += effects.new_from.size();
  });
  parser.feed(wal_begin, read_wal(wal_begin, wal_end));
  EXPECT_GT(blocks, 500U);
  EXPECT_GE(limits, 5U);
}

TEST_F(WalParserTest, SeesTheRecordsThatPgWaldumpSees) {
  const auto wal = read_wal(wal_begin, wal_end);
  ASSERT_GT(wal.size(), 5 * kSegment);
  expect_same(parse(wal_begin, wal, wal.size()), judge(wal_begin, wal_end));
}

TEST_F(WalParserTest, DoesNotDependOnThePieces) {
  const auto wal = read_wal(wal_begin, wal_end);
  const auto whole = parse(wal_begin, wal, wal.size());
  for (const std::size_t piece : {7u, 24u, 8191u, 8192u, 131'072u}) {
    EXPECT_EQ(parse(wal_begin, wal, piece), whole) << piece;
  }
}

TEST_F(WalParserTest, StartsAtAnyPage) {
  const auto theirs = judge(wal_begin, wal_end);
  for (std::uint64_t page = 0; wal_begin + page * kWalPageSize < wal_end; page += 13) {
    const auto from = wal_begin + page * kWalPageSize;
    auto expected = theirs;
    std::erase_if(expected, [&](const auto& item) { return item.first < from; });
    if (expected.empty()) break;
    const auto wal = read_wal(from, wal_end);
    std::map<Lsn, Seen> result;
    WalParser parser(kSegment, [&](const WalRecord& r) { result[r.start] = {"", r.length, r.xid}; });
    parser.feed(from, wal);
    SCOPED_TRACE(format_lsn(from));
    expect_same(result, expected);
  }
}

TEST_F(WalParserTest, DecodesWhatTargetsAreMadeOf) {
  std::map<Lsn, std::string> descriptions;
  auto theirs = judge(wal_begin, wal_end, &descriptions);
  const auto wal = read_wal(wal_begin, wal_end);
  std::vector<WalEvent> events;
  parse(wal_begin, wal, wal.size(), &events);

  std::size_t transactions = 0;
  std::size_t prepared = 0;
  std::size_t aborts = 0;
  std::size_t switches = 0;
  std::vector<RestorePoint> points;
  for (const auto& event : events) {
    if (const auto* end = std::get_if<TransactionEnd>(&event)) {
      ++transactions;
      const auto& said = descriptions.at(end->start);
      const bool commit = end->kind == TransactionEnd::Kind::kCommit;
      aborts += commit ? 0 : 1;
      prepared += end->prepared ? 1 : 0;
      EXPECT_EQ(said.starts_with(commit ? "COMMIT" : "ABORT"), true) << said;
      EXPECT_EQ(said.find("_PREPARED") != std::string::npos, end->prepared) << said;
      if (end->prepared) {
        EXPECT_NE(said.find("_PREPARED " + std::to_string(end->xid) + ":"), std::string::npos) << said;
      } else {
        EXPECT_EQ(end->xid, theirs.at(end->start).xid);
      }
      // pg_waldump: "2026-04-10 12:00:00.123456 UTC".
      auto time = core::format_time(end->time);
      time[time.find('T')] = ' ';
      time.pop_back();
      EXPECT_NE(said.find(time), std::string::npos) << said << " is not " << time;
    } else if (const auto* point = std::get_if<RestorePoint>(&event)) {
      points.push_back(*point);
    } else if (std::holds_alternative<SegmentSwitch>(event)) {
      ++switches;
    }
  }
  std::size_t expected = 0;
  for (const auto& [lsn, said] : descriptions) {
    expected += said.starts_with("COMMIT") || said.starts_with("ABORT") ? 1 : 0;
  }
  EXPECT_EQ(transactions, expected);
  EXPECT_GE(transactions, 205u);
  EXPECT_EQ(prepared, 2u);
  EXPECT_GE(aborts, 2u);
  EXPECT_EQ(switches, 2u);
  ASSERT_EQ(points.size(), 1u);
  EXPECT_EQ(points[0].name, "before the loss");
}

TEST_F(WalParserTest, EndsAtZeros) {
  auto wal = read_wal(wal_begin, wal_end);
  const auto whole = parse(wal_begin, wal, wal.size());
  const auto size = wal.size();
  wal.resize((size / kSegment + 2) * kSegment);
  std::size_t records = 0;
  WalParser parser(kSegment, [&](const WalRecord&) { ++records; });
  parser.feed(wal_begin, wal);
  EXPECT_EQ(records, whole.size());
  EXPECT_TRUE(parser.at_end());
  EXPECT_EQ(parser.last_record_start(), whole.rbegin()->first);
}

TEST_F(WalParserTest, NoticesDamage) {
  const auto wal = read_wal(wal_begin, wal_end);
  const auto whole = parse(wal_begin, wal, wal.size());
  std::size_t tried = 0;
  for (const auto& [start, seen] : whole) {
    if (++tried % 37 != 0 || seen.length < 60) continue;
    auto damaged = wal;
    damaged[start - wal_begin + 30] ^= std::byte{1};  // may be in a page header, which is noticed as well
    WalParser parser(kSegment, [](const WalRecord&) {});
    EXPECT_THROW(parser.feed(wal_begin, damaged), core::Error) << format_lsn(start);
    parser.restart();
    EXPECT_FALSE(parser.position());
    parser.feed(wal_begin, wal);
    EXPECT_EQ(parser.last_record_start(), whole.rbegin()->first);
  }
}

TEST_F(WalParserTest, SurvivesAnyDamage) {
  const auto wal = read_wal(wal_begin, wal_begin + 4 * kSegment);
  std::uint32_t seed = 20'260'410;  // a linear congruence: the same damage every time
  const auto next = [&] { return seed = seed * 1'664'525 + 1'013'904'223; };
  for (int round = 0; round < 50; ++round) {
    auto damaged = wal;
    for (int i = 0; i < 20; ++i) damaged[next() % damaged.size()] = static_cast<std::byte>(next() >> 24);
    WalParser parser(kSegment, [](const WalRecord& record) { (void)decode_event(record); });
    try {
      parser.feed(wal_begin, damaged);
    } catch (const core::Error& e) {
      EXPECT_EQ(e.code(), core::Code::kCorruptData) << e.what();
    }
  }
}

/// Pages of WAL made by hand.
class MadeWal {
 public:
  void page(std::uint16_t info, std::uint32_t rest) {
    const auto at = bytes_.size();
    core::append_le<std::uint16_t>(bytes_, 0xD110);
    core::append_le<std::uint16_t>(bytes_, static_cast<std::uint16_t>(info | (at == 0 ? 2 : 0)));
    core::append_le<std::uint32_t>(bytes_, 1);
    core::append_le<std::uint64_t>(bytes_, kSegment + at);
    core::append_le<std::uint32_t>(bytes_, rest);
    bytes_.resize(at + (at == 0 ? 40 : 24));
  }
  /// A record of `length` bytes; only its first `written` ones are put down.
  void record(std::uint32_t length, std::size_t written) {
    core::Bytes record;
    core::append_le<std::uint32_t>(record, length);
    record.resize(length, std::byte{7});
    record[17] = std::byte{99};
    const core::ByteSpan span(record);
    const auto checksum = codec::crc32c(span.first(20), codec::crc32c(span.subspan(24)));
    core::store_le(core::MutableByteSpan(record), 20, checksum);
    core::append(bytes_, span.first(written));
  }
  void fill() { bytes_.resize((bytes_.size() + kWalPageSize - 1) / kWalPageSize * kWalPageSize); }
  [[nodiscard]] core::ByteSpan bytes() const { return bytes_; }

 private:
  core::Bytes bytes_;
};

TEST(MadeWalTest, PassesOverARecordThatACrashCutOff) {
  constexpr std::uint16_t kOverwrite = 8;
  MadeWal wal;
  wal.page(0, 0);
  wal.record(800, 800);
  wal.record(20'000, kWalPageSize - 840);  // goes on behind the page, but was never finished
  wal.page(kOverwrite, 0);
  wal.record(56, 56);
  std::vector<std::uint64_t> starts;
  WalParser parser(kSegment, [&](const WalRecord& record) { starts.push_back(record.start.value - kSegment); });
  parser.feed({kSegment}, wal.bytes());
  EXPECT_EQ(starts, (std::vector<std::uint64_t>{40, kWalPageSize + 24}));
}

TEST(MadeWalTest, RefusesAPageThatDoesNotContinueItsRecord) {
  for (const auto info : std::to_array<std::uint16_t>({0, 1})) {
    MadeWal wal;
    wal.page(0, 0);
    wal.record(20'000, kWalPageSize - 40);
    wal.page(info, 5);
    wal.fill();
    WalParser parser(kSegment, [](const WalRecord&) {});
    EXPECT_THROW(parser.feed({kSegment}, wal.bytes()), core::Error);
  }
}

TEST_F(WalParserTest, RefusesBytesOutOfOrder) {
  const auto wal = read_wal(wal_begin, wal_end);
  WalParser parser(kSegment, [](const WalRecord&) {});
  EXPECT_THROW(parser.feed(wal_begin + 8, wal), core::Error);
  parser.feed(wal_begin, core::ByteSpan(wal).first(100));
  EXPECT_THROW(parser.feed(wal_begin + 99, wal), core::Error);
  WalParser elsewhere(kSegment, [](const WalRecord&) {});
  EXPECT_THROW(elsewhere.feed(wal_begin + kSegment, wal), core::Error);
}

TEST(WalTimeTest, CountsFrom2000) {
  EXPECT_EQ(core::format_time(from_postgres_time(0)), "2000-01-01T00:00:00Z");
  const auto time = core::parse_time("2026-04-10T12:00:00.123456Z");
  EXPECT_EQ(from_postgres_time(to_postgres_time(time)), time);
  // A clock that is far off, or a record that was made up: what comes of it can be written down and read again.
  EXPECT_EQ(core::format_time(from_postgres_time(INT64_MAX)), "9999-12-31T23:59:59Z");
  EXPECT_EQ(core::parse_time(core::format_time(from_postgres_time(INT64_MIN))), from_postgres_time(INT64_MIN));
}

}  // namespace
}  // namespace backstay::postgres
