// What is read out of a real cluster's files: control file, page checksums, the list of what belongs into a backup.
#include <map>
#include <set>

#include <unistd.h>

#include <gtest/gtest.h>

#include "core/error.h"
#include "core/text.h"
#include "os/process.h"
#include "postgres/backup_session.h"
#include "postgres/cluster_files.h"
#include "postgres/control_file.h"
#include "postgres/page_checksum.h"
#include "postgres/testing/test_cluster.h"

namespace backstay::postgres {
namespace {

namespace fs = std::filesystem;
using testing::TestCluster;

class ClusterTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { cluster_ = new TestCluster(); }
  static void TearDownTestSuite() {
    delete cluster_;
    cluster_ = nullptr;
  }

  static std::map<std::string, ClusterEntry> walk() {
    std::map<std::string, ClusterEntry> result;
    walk_cluster(cluster_->paths().data(), {}, [&](const ClusterEntry& entry) {
      EXPECT_TRUE(result.emplace(entry.path, entry).second) << entry.path << " came twice";
    });
    return result;
  }

  static std::string tool(std::vector<std::string> argv) {
    argv[0] = cluster_->installation().program(argv[0]).string();
    os::SystemProcessRunner runner;
    os::Command command;
    command.argv = std::move(argv);
    command.identity = cluster_->identity();
    return os::run_checked(runner, command, {}).output;
  }

  static TestCluster* cluster_;
};

TestCluster* ClusterTest::cluster_ = nullptr;

TEST_F(ClusterTest, ReadsTheControlFileAsPostgresDoes) {
  cluster_->query("CHECKPOINT");
  os::RealFileSystem files;
  const auto file = parse_control_file(files.read_file(cluster_->paths().data() / kControlFilePath));
  const auto said = tool({"pg_controldata", cluster_->paths().data().string()});
  std::map<std::string, std::string> values;
  for (const auto& line : core::split(said, '\n')) {
    const auto colon = line.find(':');
    if (colon != std::string::npos) values[line.substr(0, colon)] = core::trim(line.substr(colon + 1));
  }
  EXPECT_EQ(std::to_string(file.system_identifier), values["Database system identifier"]);
  EXPECT_EQ(file.state, ClusterState::kProduction);
  EXPECT_EQ(format_lsn(file.checkpoint), values["Latest checkpoint location"]);
  EXPECT_EQ(format_lsn(file.checkpoint_redo), values["Latest checkpoint's REDO location"]);
  EXPECT_EQ(std::to_string(file.checkpoint_timeline.value), values["Latest checkpoint's TimeLineID"]);
  EXPECT_EQ(std::to_string(file.limits.max_connections), values["max_connections setting"]);
  EXPECT_EQ(std::to_string(file.limits.max_worker_processes), values["max_worker_processes setting"]);
  EXPECT_EQ(std::to_string(file.limits.max_wal_senders), values["max_wal_senders setting"]);
  EXPECT_EQ(std::to_string(file.limits.max_prepared_transactions), values["max_prepared_xacts setting"]);
  EXPECT_EQ(std::to_string(file.limits.max_locks_per_transaction), values["max_locks_per_xact setting"]);
  EXPECT_EQ(std::to_string(file.block_size), values["Database block size"]);
  EXPECT_EQ(std::to_string(file.relation_segment_blocks), values["Blocks per segment of large relation"]);
  EXPECT_EQ(std::to_string(file.wal_segment_size), values["Bytes per WAL segment"]);
  EXPECT_EQ(std::to_string(file.data_checksum_version), values["Data page checksum version"]);
}

TEST_F(ClusterTest, RefusesADamagedControlFile) {
  os::RealFileSystem files;
  auto bytes = files.read_file(cluster_->paths().data() / kControlFilePath);
  bytes[40] ^= std::byte{1};
  EXPECT_THROW(parse_control_file(bytes), core::Error);
  EXPECT_THROW(parse_control_file(core::ByteSpan(bytes).first(100)), core::Error);
}

TEST_F(ClusterTest, VerifiesEveryPageOfARealCluster) {
  cluster_->query("CREATE TABLE pages AS SELECT i, repeat('x', i % 500) FROM generate_series(1, 20000) i");
  cluster_->query("CHECKPOINT");
  os::RealFileSystem files;
  std::size_t valid = 0;
  std::size_t damaged_found = 0;
  const auto end = parse_lsn(cluster_->query("SELECT pg_current_wal_lsn()").text(0, 0));
  for (const auto& [path, entry] : walk()) {
    if (!entry.first_block) continue;
    auto bytes = files.read_file(cluster_->paths().data() / path);
    for (std::size_t at = 0; at + kPageSize <= bytes.size(); at += kPageSize) {
      const auto page = core::MutableByteSpan(bytes).subspan(at, kPageSize);
      const auto block = *entry.first_block + static_cast<std::uint32_t>(at / kPageSize);
      const auto state = check_page(page, block);
      EXPECT_NE(state, PageState::kInvalid) << path << " block " << block;
      if (state != PageState::kValid) continue;
      ++valid;
      EXPECT_LE(page_lsn(page), end);
      EXPECT_EQ(check_page(page, block + 1), PageState::kInvalid);
      page[1000] ^= std::byte{4};
      damaged_found += check_page(page, block) == PageState::kInvalid ? 1 : 0;
    }
  }
  EXPECT_GT(valid, 1000u);
  EXPECT_EQ(damaged_found, valid);
}

TEST_F(ClusterTest, KnowsNewPages) {
  core::Bytes page(kPageSize);
  EXPECT_EQ(check_page(page, 0), PageState::kNew);
  page[5000] = std::byte{1};
  EXPECT_EQ(check_page(page, 0), PageState::kInvalid);
}

TEST_F(ClusterTest, ListsWhatABaseBackupHolds) {
  auto connection = cluster_->connect();
  connection.query("CREATE TABLE kept (a int)");
  connection.query("CREATE UNLOGGED TABLE fleeting AS SELECT 1 AS a");
  connection.query("CREATE TEMP TABLE mine AS SELECT 1 AS a");
  const auto path_of = [&](const std::string& table) {
    return connection.query("SELECT pg_relation_filepath($1)", {table}).text(0, 0);
  };
  const auto kept = path_of("kept");
  const auto fleeting = path_of("fleeting");
  const auto temporary = path_of("mine");
  connection.query("CHECKPOINT");
  const auto entries = walk();

  EXPECT_TRUE(entries.contains(kept));
  EXPECT_EQ(entries.at(kept).first_block, 0u);
  EXPECT_FALSE(entries.contains(fleeting));
  EXPECT_TRUE(entries.contains(fleeting + "_init"));
  EXPECT_TRUE(fs::exists(cluster_->paths().data() / temporary));
  EXPECT_FALSE(entries.contains(temporary));
  for (const auto* there : {"PG_VERSION", "global/pg_control", "global/pg_filenode.map", "pg_xact/0000", "base",
                            "pg_wal", "pg_wal/archive_status", "pg_replslot", "pg_subtrans", "pg_twophase"}) {
    EXPECT_TRUE(entries.contains(there)) << there;
  }
  EXPECT_FALSE(entries.at("global/pg_control").first_block);
  EXPECT_FALSE(entries.at("global/pg_filenode.map").first_block);
  for (const auto* gone : {"postmaster.pid", "postmaster.opts", "pg_wal/000000010000000000000001", "pg_subtrans/0000",
                           "global/pg_internal.init"}) {
    EXPECT_FALSE(entries.contains(gone)) << gone;
  }
  for (const auto& [path, entry] : entries) {
    if (const auto slash = path.rfind('/'); slash != std::string::npos) {
      EXPECT_TRUE(entries.contains(path.substr(0, slash))) << path << " has no directory";
    }
  }
}

TEST_F(ClusterTest, ListsTheSameFilesAsPgBasebackup) {
  cluster_->query("CREATE UNLOGGED TABLE fleeting2 AS SELECT 1 AS a");
  cluster_->query("CHECKPOINT");
  const auto entries = walk();
  testing::TemporaryDirectory directory;
  const auto target = cluster_->target();
  os::SystemProcessRunner runner;
  os::Command command;
  command.argv = {cluster_->installation().program("pg_basebackup").string(),
                  "-D",
                  (directory.path() / "copy").string(),
                  "-h",
                  target.socket_directory.string(),
                  "-p",
                  std::to_string(target.port),
                  "-U",
                  target.user,
                  "-X",
                  "none",
                  "--no-manifest",
                  "-c",
                  "fast",
                  "--no-sync"};
  command.environment = {{"PGPASSWORD", target.password.reveal()}};
  os::run_checked(runner, command, {});
  std::set<std::string> theirs;
  for (const auto& entry : fs::recursive_directory_iterator(directory.path() / "copy")) {
    theirs.insert(entry.path().lexically_relative(directory.path() / "copy").string());
  }
  theirs.erase("backup_label");
  std::set<std::string> ours;
  for (const auto& [path, entry] : entries) ours.insert(path);
  EXPECT_EQ(ours, theirs);
}

TEST_F(ClusterTest, FollowsTablespaces) {
  testing::TemporaryDirectory directory;
  const auto place = directory.path() / "space";
  fs::create_directory(place);
  os::RealFileSystem files;
  if (const auto identity = cluster_->identity()) files.set_owner(place, identity->uid, identity->gid);
  cluster_->query("CREATE TABLESPACE space LOCATION '" + place.string() + "'");
  cluster_->query("CREATE TABLE far (a int) TABLESPACE space");
  const auto path = cluster_->query("SELECT pg_relation_filepath('far')").text(0, 0);
  fs::create_directories(place / "PG_9.1_200000000" / "1");
  const auto entries = walk();
  ASSERT_TRUE(entries.contains(path)) << path;
  EXPECT_EQ(entries.at(path).first_block, 0u);
  const auto link = path.substr(0, path.find('/', 10));
  EXPECT_EQ(entries.at(link).type, EntryType::kSymlink);
  EXPECT_EQ(entries.at(link).link_target, place.string());
  EXPECT_FALSE(entries.contains(link + "/PG_9.1_200000000"));
  cluster_->query("DROP TABLE far");
  cluster_->query("DROP TABLESPACE space");
}

/// What a tenant with a shell may do between the walk and the copy: a directory becomes a link to somewhere else.
TEST_F(ClusterTest, OpensNothingBehindADirectoryThatBecameALink) {
  const testing::TemporaryDirectory elsewhere;
  const auto data = cluster_->paths().data();
  os::RealFileSystem files;
  files.make_directories(data / "odd", 0700);
  for (const auto& directory : {data / "odd", elsewhere.path()}) files.create(directory / "state.key", 0600)->close();
  give_to(files, data / "odd", cluster_->identity());
  const auto entries = walk();
  EXPECT_TRUE(entries.at("odd/state.key").open().valid());
  files.rename(data / "odd", data / "real");
  files.make_symlink(elsewhere.path(), data / "odd");
  try {
    EXPECT_FALSE(entries.at("odd/state.key").open().valid());
  } catch (const core::Error& e) {
    EXPECT_EQ(e.code(), core::Code::kPathNotAllowed) << e.what();
  }
  EXPECT_FALSE(walk().contains("odd/state.key"));
  files.remove(data / "odd");
  files.remove_all(data / "real");
}

TEST_F(ClusterTest, WalksNoTablespaceOfAnotherUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "all files belong to one user";
  const testing::TemporaryDirectory elsewhere;
  const auto link = cluster_->paths().data() / "pg_tblspc" / "99999";
  os::RealFileSystem files;
  files.make_directories(elsewhere.path() / "PG_15_202209061" / "1", 0755);
  files.make_symlink(elsewhere.path(), link);
  try {
    walk();
    ADD_FAILURE() << "a directory of root was walked";
  } catch (const core::Error& e) {
    EXPECT_EQ(e.code(), core::Code::kPathNotAllowed) << e.what();
  }
  files.remove(link);
}

TEST_F(ClusterTest, WalksInComponentWiseOrder) {
  std::vector<std::vector<std::string>> order;
  walk_cluster(cluster_->paths().data(), {},
               [&](const ClusterEntry& entry) { order.push_back(core::split(entry.path, '/')); });
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

TEST_F(ClusterTest, StopsWhenAsked) {
  std::stop_source stop;
  std::size_t seen = 0;
  EXPECT_THROW(walk_cluster(cluster_->paths().data(), stop.get_token(),
                            [&](const ClusterEntry&) { stop.request_stop(), ++seen; }),
               core::Error);
  EXPECT_LT(seen, 50u);
}

TEST_F(ClusterTest, BracketsABackup) {
  BackupSession session(cluster_->connect());
  const auto start = session.start("a label");
  EXPECT_EQ(start.timeline, (TimelineId{1}));
  EXPECT_EQ(session.connection().query("SELECT 1").text(0, 0), "1");
  const auto stop = session.stop();
  EXPECT_GT(stop.lsn, start.lsn);
  EXPECT_EQ(stop.timeline, start.timeline);
  EXPECT_NE(stop.backup_label.find("LABEL: a label"), std::string::npos);
  EXPECT_NE(stop.backup_label.find("START WAL LOCATION: " + format_lsn(start.lsn)), std::string::npos);
  EXPECT_EQ(stop.tablespace_map, "");
  EXPECT_THROW(session.stop(), core::Error);
}

TEST(RelationFileTest, TakesNamesApart) {
  const auto file = parse_relation_file("16384_fsm.2");
  ASSERT_TRUE(file);
  EXPECT_EQ(file->node, 16384u);
  EXPECT_EQ(file->fork, "fsm");
  EXPECT_EQ(file->segment, 2u);
  for (const auto* name : {"", "PG_VERSION", "pg_control", "16384_x", "16384.", "t3_16384", "16384.x", "4294967296"}) {
    EXPECT_FALSE(parse_relation_file(name)) << name;
  }
}

}  // namespace
}  // namespace backstay::postgres
