// Whether the map of changed pages says all that changed: the files of a real server before and after a random
// workload, against what its WAL says.
#include <algorithm>
#include <array>
#include <cstring>
#include <iostream>
#include <map>
#include <random>
#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "backup/change_collector.h"
#include "backup/testing/archive_fixture.h"
#include "core/testing/seed.h"
#include "os/file_system.h"
#include "postgres/cluster_files.h"
#include "repository/page_change_objects.h"
#include "repository/wal_store.h"

namespace backstay::backup {
namespace {

namespace fs = std::filesystem;
using postgres::Lsn;
using postgres::testing::TestCluster;

constexpr std::uint64_t kSegment = 1U << 20;  // small, so that records cross segments
constexpr std::size_t kPage = 8192;
constexpr auto kDeadline = std::chrono::minutes(2);
constexpr const char* kConfig =
    "wal_keep_size = '2GB'\nautovacuum = off\nmax_prepared_transactions = 5\nallow_in_place_tablespaces = on\n"
    "wal_log_hints = on\ncheckpoint_timeout = 1h\n";

/// What may happen to a database. '@' is one of a few numbers.
constexpr std::array kStatements = {
    "INSERT INTO t@ SELECT g, md5(g::text), ARRAY[g, g + 1], point(g % 100, g), to_tsvector(md5(g::text)), "
    "int4range(g, g + 5), jsonb_build_object('a', g) FROM generate_series(1, 1500) g",
    "UPDATE t@ SET a = a || 'x' WHERE id % 97 = 3",
    "UPDATE t@ SET b = b || id, r = int4range(id, id + 50) WHERE id % 53 = 1",
    "DELETE FROM t@ WHERE id % 11 = 2",
    "DELETE FROM t@ WHERE id > 900; VACUUM t@",
    "VACUUM t@",
    "VACUUM FULL t@",
    "VACUUM (FREEZE) t@",
    "CLUSTER t@ USING t@_id",
    "TRUNCATE t@",
    "BEGIN; INSERT INTO t@ SELECT g, 'gone' FROM generate_series(1, 300) g; SAVEPOINT s; TRUNCATE t@; ROLLBACK",
    "BEGIN; INSERT INTO t@ SELECT g, 'two' FROM generate_series(1, 30) g; PREPARE TRANSACTION 'p@'; "
    "COMMIT PREPARED 'p@'",
    "SELECT count(*) FROM t@ WHERE id % 3 = 0",
    "SELECT * FROM t@ WHERE id < 40 FOR UPDATE",
    "SELECT nextval('s@') FROM generate_series(1, 3)",
    "SELECT nextval('s@') FROM generate_series(1, 70); SELECT setval('s@', 12)",
    "DROP TABLE IF EXISTS u@; CREATE TABLE u@ AS SELECT g AS id, repeat(md5(g::text), 200) AS a "
    "FROM generate_series(1, 60) g",
    "DROP TABLE IF EXISTS u@; CREATE UNLOGGED TABLE u@ AS SELECT g AS id, 'u'::text AS a FROM generate_series(1, 500) "
    "g",
    "CREATE TABLE IF NOT EXISTS u@ (id int, a text); ALTER TABLE u@ SET UNLOGGED; ALTER TABLE u@ SET LOGGED",
    "CREATE TABLE IF NOT EXISTS u@ (id int, a text); ALTER TABLE u@ SET TABLESPACE other; "
    "INSERT INTO u@ SELECT g, 'moved' FROM generate_series(1, 200) g",
    "CREATE TEMPORARY TABLE IF NOT EXISTS v AS SELECT g FROM generate_series(1, 200) g",
    "CREATE INDEX ON t@ USING hash (id)",
    "CREATE INDEX ON t@ USING gin (ts)",
    "CREATE INDEX ON t@ USING gin (b) WITH (fastupdate = off)",
    "CREATE INDEX ON t@ USING gist (p); CREATE INDEX ON t@ USING gist (r)",
    "CREATE INDEX ON t@ USING spgist (p); CREATE INDEX ON t@ USING spgist (a)",
    "CREATE INDEX ON t@ USING brin (id) WITH (pages_per_range = 4); SELECT brin_summarize_new_values(indexrelid) FROM "
    "pg_index JOIN pg_class c ON c.oid = indexrelid WHERE indrelid = 't@'::regclass AND relam = 3580",
    "CREATE INDEX CONCURRENTLY ON t@ (a)",
    "REINDEX TABLE t@",
    "DROP TABLE t@; CREATE TABLE t@ (LIKE t0x INCLUDING ALL); CREATE INDEX t@_id ON t@ (id)",
    "COPY t@ TO '%'; COPY t@ FROM '%'",
    "SELECT lo_from_bytea(0, decode(repeat('abcd', 3000), 'hex'))",
    "ANALYZE",
    "REFRESH MATERIALIZED VIEW m",
    "DROP DATABASE IF EXISTS d@; CREATE DATABASE d@ OID 3000@ STRATEGY file_copy",
    "DROP DATABASE IF EXISTS d@; CREATE DATABASE d@ OID 3000@ TEMPLATE e STRATEGY file_copy",
    "DROP DATABASE IF EXISTS d@; CREATE DATABASE d@ OID 3000@ TEMPLATE e STRATEGY wal_log",
    "DROP DATABASE IF EXISTS d@; CREATE DATABASE d@ STRATEGY wal_log TABLESPACE other",
    "CHECKPOINT",
    "SELECT pg_switch_wal()",
};

using Files = std::map<std::string, core::Bytes>;

struct Snapshot {
  Lsn redo;
  Files files;
};

std::optional<std::uint32_t> number(const std::string& text) {
  if (text.empty() || text.find_first_not_of("0123456789") != std::string::npos) return std::nullopt;
  return static_cast<std::uint32_t>(std::stoul(text));
}

/// "base/5/1259", "global/1262", "pg_tblspc/16400/PG_15_202209061/5/16401.1".
std::optional<std::pair<RelationFork, std::uint32_t>> relation_of(const fs::path& path) {
  const std::vector<std::string> parts(path.begin(), path.end());
  const auto file = postgres::parse_relation_file(parts.back());
  if (!file || !file->fork.empty()) return std::nullopt;
  RelationFork of{1664, 0, file->node, 0};
  if (parts.front() == "base") of = {1663, number(parts.at(1)).value_or(0), file->node, 0};
  if (parts.front() == "pg_tblspc")
    of = {number(parts.at(1)).value_or(0), number(parts.at(3)).value_or(0), file->node, 0};
  return std::pair{of, file->segment * 131'072U};
}

class ChangedPagesTest : public testing::ArchiveFixture, public ::testing::WithParamInterface<int> {
 protected:
  ChangedPagesTest()
      : cluster_({.extra_config = kConfig + std::string(GetParam() >= 17 ? "summarize_wal = on\n" : ""),
                  .segment_size = kSegment,
                  .major = GetParam()}) {
    instance_ = add_instance(cluster_);
    auto connection = cluster_.connect();
    connection.execute(
        "CREATE TABLE t0x (id int, a text, b int[], p point, ts tsvector, r int4range, j jsonb); "
        "CREATE TABLE t0 (LIKE t0x); CREATE INDEX t0_id ON t0 (id); CREATE TABLE t1 (LIKE t0x); CREATE INDEX t1_id ON "
        "t1 (id); CREATE SEQUENCE s0; CREATE SEQUENCE s1; CREATE MATERIALIZED VIEW m AS SELECT g FROM "
        "generate_series(1, 900) g");
    connection.query("CREATE TABLESPACE other LOCATION ''");
    connection.query("CREATE DATABASE e");
    connection.query("CREATE DATABASE d0 OID 30000");
    cluster_.connect("e").execute("CREATE TABLE more (id int PRIMARY KEY, v text); CREATE VIEW fewer AS TABLE more");
  }

  /// With nothing at work, the files are as the WAL before the checkpoint says.
  Snapshot snapshot() {
    cluster_.query("CHECKPOINT");
    Snapshot result;
    result.redo = postgres::parse_lsn(cluster_.query("SELECT redo_lsn FROM pg_control_checkpoint()").text(0, 0));
    const fs::path& data = cluster_.paths().data();
    std::set<fs::path> unlogged;
    for (const char* top : {"base", "global", "pg_tblspc"}) {
      for (const auto& entry : fs::recursive_directory_iterator(data / top)) {
        const fs::path path = entry.path().lexically_relative(data);
        if (entry.is_regular_file() && path.string().ends_with("_init")) {
          unlogged.insert(path.string().substr(0, path.string().size() - 5));
        }
        if (entry.is_regular_file() && relation_of(path)) result.files[path] = files_.read_file(entry.path());
      }
    }
    for (const auto& path : unlogged) result.files.erase(path);
    return result;
  }

  void run(std::mt19937& random, int steps) {
    auto connection = cluster_.connect();
    for (int i = 0; i < steps; ++i) {
      std::string sql = kStatements[random() % kStatements.size()];
      const char digit = random() % 2 == 0 ? '0' : '1';
      std::ranges::replace(sql, '@', digit);
      for (auto at = sql.find('%'); sql.starts_with("COPY") && at != std::string::npos; at = sql.find('%')) {
        sql.replace(at, 1, copy_.string());
      }
      for (std::size_t at = 0; at < sql.size();) {
        const std::size_t end = std::min(sql.find("; ", at), sql.size());
        done_ += sql.substr(at, end - at) + '\n';
        connection.query(sql.substr(at, end - at), {}, kDeadline);
        at = end + 2;
      }
    }
  }

  /// Everything on disk, as a receiver would have stored it.
  void archive() {
    repository::WalStore wal(*repository_, instance_, kSegment);
    const Lsn end = postgres::parse_lsn(cluster_.query("SELECT pg_current_wal_flush_lsn()").text(0, 0));
    for (auto n = archived_; n <= postgres::segment_of({end.value - 1}, kSegment); ++n) {
      const auto path = cluster_.paths().data() / "pg_wal" / postgres::segment_name({1}, n, kSegment);
      if (!fs::exists(path)) continue;
      auto bytes = files_.read_file(path);
      repository::SegmentIndex index;
      index.timeline = 1;
      index.segment = n;
      if (postgres::segment_start(n + 1, kSegment) <= end) {
        wal.put_segment(bytes, index, 1);
        archived_ = n + 1;
      } else {
        bytes.resize(end.value % kSegment);
        wal.put_tail(bytes, 0, index, 1);
      }
    }
  }

  PageChanges collect(Lsn from, Lsn to) {
    auto collected = collect_page_changes(
        *repository_,
        {.instance = instance_, .segment_size = kSegment, .from = {{1}, from}, .base_stop = from + 1, .to = {{1}, to}},
        {});
    EXPECT_EQ(collected.unproven, "");
    return std::move(collected.changes);
  }

  TestCluster cluster_;
  const fs::path copy_ = cluster_.paths().data() / "copied.rows";
  std::string instance_;
  postgres::SegmentNumber archived_ = 0;
  std::string done_;
};

struct Tightness {
  std::uint64_t pages = 0;
  std::uint64_t differ = 0;
  std::uint64_t told = 0;
  std::uint64_t hints = 0;
};

/// Where, and the LSN that both versions name.
std::string difference(const Snapshot& before, const Snapshot& after, const std::string& path, std::size_t page) {
  const auto then = core::ByteSpan(before.files.at(path)).subspan(page * kPage, kPage);
  const auto now = core::ByteSpan(after.files.at(path)).subspan(page * kPage, kPage);
  const auto lsn = [](core::ByteSpan of) {
    return fmt::format("{:X}/{:X}", core::load_le<std::uint32_t>(of, 0), core::load_le<std::uint32_t>(of, 4));
  };
  std::string places;
  std::size_t count = 0;
  for (std::size_t i = 0; i < kPage; ++i) {
    if (then[i] != now[i] && ++count < 12) places += fmt::format(" {}", i);
  }
  return fmt::format("{} bytes, at{}; before {} (redo {}), after {} (redo {})", count, places, lsn(then),
                     postgres::format_lsn(before.redo), lsn(now), postgres::format_lsn(after.redo));
}

/// Of the pages that both have: what differs must be told.
Tightness compare(const Snapshot& before, const Snapshot& after, const PageChanges& changes) {
  Tightness result;
  for (const auto& [path, now] : after.files) {
    const auto found = before.files.find(path);
    if (found == before.files.end()) continue;
    const core::Bytes& then = found->second;
    const auto [of, first] = *relation_of(path);
    const auto pages = static_cast<std::uint32_t>(std::min(now.size(), then.size()) / kPage);
    const auto told = changes.changed(of, first, pages);
    result.pages += pages;
    result.told += told.size();
    for (std::uint32_t page = 0; page < pages; ++page) {
      if (std::memcmp(&now[page * kPage], &then[page * kPage], kPage) == 0) continue;
      // What is not logged leaves the page's LSN as it is.
      if (std::memcmp(&now[page * kPage], &then[page * kPage], sizeof(std::uint64_t)) == 0 &&
          !std::ranges::binary_search(told, first + page)) {
        ++result.hints;
        continue;
      }
      ++result.differ;
      EXPECT_TRUE(std::ranges::binary_search(told, first + page))
          << path << " page " << page << ": " << difference(before, after, path, page);
    }
  }
  return result;
}

TEST_P(ChangedPagesTest, EveryPageThatDiffersIsInTheMap) {
  std::mt19937 random(core::testing::seed());
  Tightness all;
  Snapshot before = snapshot();
  const Snapshot first = before;
  for (int round = 0; round < 3; ++round) {
    run(random, 14);
    if (round == 1) {
      cluster_.stop(postgres::StopMode::kImmediate);
      cluster_.start();
    }
    Snapshot after = snapshot();
    archive();
    const Tightness found = compare(before, after, collect(before.redo, after.redo));
    all.pages += found.pages;
    all.differ += found.differ;
    all.told += found.told;
    all.hints += found.hints;
    before = std::move(after);
    if (HasFailure()) break;
  }
  if (!HasFailure()) compare(first, before, collect(first.redo, before.redo));
  std::cout << fmt::format("of {} pages {} differed and {} were told\n", all.pages, all.differ, all.told);
  EXPECT_GT(all.differ, 20U);
  EXPECT_LT(all.hints, 10U);
  if (HasFailure()) std::cout << done_;
}

INSTANTIATE_TEST_SUITE_P(Majors, ChangedPagesTest, ::testing::ValuesIn(postgres::testing::kTestMajors),
                         [](const auto& param) { return fmt::format("PostgreSQL{}", param.param); });

}  // namespace
}  // namespace backstay::backup
