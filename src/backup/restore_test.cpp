// Backup and restore on a real server.
#include "backup/restore.h"

#include <atomic>

#include <unistd.h>

#include "backup/confirm.h"
#include "backup/testing/archive_fixture.h"
#include "backup/testing/dump_text.h"
#include "core/error.h"
#include "repository/container_writer.h"
#include "repository/manifest.h"

namespace backstay::backup {
namespace {

using testing::ArchiveFixture;
using testing::comparable_dump;

constexpr auto kDeadline = std::chrono::seconds(60);

/// Writes until it goes: rows, updates, and now and then a table.
class Workload {
 public:
  explicit Workload(postgres::testing::TestCluster& cluster)
      : connection_(cluster.connect()), thread_([this](const std::stop_token& stop) { run(stop); }) {}
  /// Waits until that many transactions have been committed.
  void wait_for(int transactions) {
    while (done_ < transactions) done_.wait(done_.load());
  }

 private:
  void run(const std::stop_token& stop) {
    for (int i = 0; !stop.stop_requested(); ++i) {
      connection_.query("INSERT INTO busy SELECT g, repeat(md5(g::text), 10) FROM generate_series(1, 50) g");
      connection_.query("UPDATE busy SET text = 'changed' WHERE ctid IN (SELECT ctid FROM busy LIMIT 20)");
      if (i % 20 == 0) connection_.execute("CREATE TABLE made_" + std::to_string(i) + " AS SELECT * FROM busy LIMIT 5");
      ++done_;
      done_.notify_all();
    }
  }
  postgres::Connection connection_;
  std::atomic<int> done_{0};
  std::jthread thread_;
};

class RestoreTest : public ArchiveFixture {
 protected:
  RestoreTest() : instance_(add_instance(cluster_)) {
    cluster_.query("CREATE TABLE busy (id int, text text)");
    cluster_.query("CREATE INDEX busy_id ON busy (id)");
    cluster_.query("CREATE TABLE kept (id int PRIMARY KEY, text text)");
    cluster_.query("INSERT INTO kept SELECT g, md5(g::text) FROM generate_series(1, 20000) g");
  }
  /// Everything in the server as SQL, without what differs from run to run.
  std::string dump(const postgres::ConnectionTarget& target) {
    return comparable_dump(run_program("pg_dumpall", target, {"--no-role-passwords"}));
  }
  void check_indexes(const postgres::ConnectionTarget& target) {
    run_program("pg_amcheck", target, {"--all", "--install-missing", "--heapallindexed"});
  }

  postgres::testing::TestCluster cluster_;
  std::string instance_;
};

TEST_F(RestoreTest, BackupUnderWriteLoadComesBackWhole) {
  auto receiver = receive(instance_, cluster_.target());
  repository::BackupRecord backup;
  {
    Workload workload(cluster_);
    workload.wait_for(20);
    backup = take_backup(instance_, cluster_, &**receiver);
    workload.wait_for(60);
  }
  EXPECT_EQ(backup.pages_failed, 0U);
  EXPECT_GT(backup.pages_checked, 1000U);
  const std::string before = dump(cluster_.target());
  ASSERT_TRUE((*receiver)->send_all(kDeadline, {}));
  WalArchive archive(*repository_, instance_);
  const auto recovered = recover_to(archive.plan(ToLatest{}, clock_.now()), "restored");
  EXPECT_EQ(dump(recovered->server().management_target()), before);
  check_indexes(recovered->server().management_target());
}

TEST_F(RestoreTest, BackupWithoutAReceiverCarriesItsOwnWal) {
  const auto backup = take_backup(instance_, cluster_);
  const std::string before = dump(cluster_.target());
  cluster_.query("DROP TABLE kept");
  WalArchive archive(*repository_, instance_);
  const auto recovered = recover_to(archive.plan(ToBackup{backup.backup}, clock_.now()), "restored");
  EXPECT_EQ(dump(recovered->server().management_target()), before);
  EXPECT_TRUE(cluster_.query("SELECT 1 FROM pg_replication_slots").empty());
}

TEST_F(RestoreTest, ConfirmedBackupSaysSo) {
  const auto backup = take_backup(instance_, cluster_);
  EXPECT_FALSE(backup.confirmed);
  const auto report = confirm_backup(environment_, *repository_, instance_, backup.backup, nullptr, {});
  EXPECT_TRUE(report.ok());
  EXPECT_TRUE(repository_->backup(instance_, backup.backup)->confirmed);
}

TEST_F(RestoreTest, DamageInTheStoreIsFoundByConfirmingAndByRestoring) {
  const auto backup = take_backup(instance_, cluster_);
  for (const auto& key : memory_.keys()) {
    if (key.starts_with("packs/")) memory_.corrupt(key, 100);
  }
  const auto report = confirm_backup(environment_, *repository_, instance_, backup.backup, nullptr, {});
  EXPECT_FALSE(report.ok());
  EXPECT_FALSE(repository_->backup(instance_, backup.backup)->confirmed);
  RestoreRequest request{.repository = *repository_,
                         .instance = instance_,
                         .backup_id = backup.backup,
                         .data_directory = directory_.path() / "data",
                         .tablespace_directory = directory_.path() / "tablespaces"};
  try {
    restore_files(environment_, request, nullptr, {});
    FAIL() << "a damaged backup was restored";
  } catch (const core::Error& e) {
    EXPECT_EQ(e.code(), core::Code::kCorruptData) << e.what();
  }
  EXPECT_FALSE(files_.stat(directory_.path() / "data/global/pg_control"));
}

TEST_F(RestoreTest, TablespacesLieBelowTheNewInstance) {
  const auto place = directory_.path() / "elsewhere";
  files_.make_directories(place, 0700);
  if (cluster_.identity()) files_.set_owner(place, cluster_.identity()->uid, cluster_.identity()->gid);
  cluster_.query("CREATE TABLESPACE elsewhere LOCATION '" + place.string() + "'");
  cluster_.query("CREATE TABLE far (id int) TABLESPACE elsewhere");
  cluster_.query("INSERT INTO far SELECT generate_series(1, 1000)");
  const auto backup = take_backup(instance_, cluster_);
  WalArchive archive(*repository_, instance_);
  const auto recovered = recover_to(archive.plan(ToBackup{backup.backup}, clock_.now()), "restored");
  EXPECT_EQ(recovered->query("SELECT count(*) FROM public.far").integer(0, 0), 1000);
  const std::string location =
      recovered->query("SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'elsewhere'").text(0, 0);
  EXPECT_TRUE(location.starts_with((directory_.path() / "restored/tablespaces").string())) << location;
}

TEST_F(RestoreTest, UnloggedTablesComeBackEmpty) {
  cluster_.query("CREATE UNLOGGED TABLE fleeting (id int)");
  cluster_.query("INSERT INTO fleeting SELECT generate_series(1, 1000)");
  const auto backup = take_backup(instance_, cluster_);
  WalArchive archive(*repository_, instance_);
  const auto recovered = recover_to(archive.plan(ToBackup{backup.backup}, clock_.now()), "restored");
  EXPECT_EQ(recovered->query("SELECT count(*) FROM public.fleeting").integer(0, 0), 0);
  EXPECT_EQ(recovered->query("SELECT count(*) FROM public.kept").integer(0, 0), 20000);
}

TEST_F(RestoreTest, EndedBackupLeavesNothingStored) {
  store_->go_away();
  EXPECT_THROW(take_backup(instance_, cluster_), core::Error);
  store_->come_back();
  EXPECT_TRUE(repository_->backups(instance_).empty());
  EXPECT_TRUE(WalArchive(*repository_, instance_).backups().empty());
}

TEST_F(RestoreTest, StoppedBackupLeavesNothingStored) {
  std::stop_source stop;
  BaseBackupRequest request{.repository = *repository_,
                            .instance = instance_,
                            .backup_id = random_.uuid(),
                            .data_directory = cluster_.paths().data(),
                            .connection = cluster_.target()};
  request.spool_directory = directory_.path() / "spool";
  const auto stop_at_once = [&](const Progress&) { stop.request_stop(); };
  try {
    take_base_backup(environment_, request, stop_at_once, stop.get_token());
    FAIL() << "the backup was not stopped";
  } catch (const core::Error& e) {
    EXPECT_EQ(e.code(), core::Code::kCancelled) << e.what();
  }
  EXPECT_TRUE(repository_->backups(instance_).empty());
}

TEST_F(RestoreTest, DamagedPageIsCountedAndNamed) {
  const std::string file = cluster_.query("SELECT pg_relation_filepath('kept')").text(0, 0);
  cluster_.query("CHECKPOINT");
  cluster_.stop();
  {
    const auto writer = files_.open_write(cluster_.paths().data() / file);
    writer->write_at(3 * 8192 + 4000, core::as_bytes("damage"));
    writer->close();
  }
  cluster_.start();
  const auto backup = take_backup(instance_, cluster_);
  EXPECT_EQ(backup.pages_failed, 1U);
  const auto& damaged = backup.details.at("damagedPages").as_array();
  ASSERT_EQ(damaged.size(), 1U);
  EXPECT_EQ(damaged[0].at("file").as_string(), file);
  EXPECT_EQ(damaged[0].at("block").to_number<int>(), 3);
}

/// The bytes of an entry without content, as somebody who has the recovery key may put them into a manifest.
core::Bytes forged_entry(const std::string& path, repository::EntryType type, std::uint8_t mode) {
  core::Bytes bytes{std::byte{0}, static_cast<std::byte>(path.size())};
  core::append(bytes, core::as_bytes(path));
  bytes.push_back(static_cast<std::byte>(type));
  bytes.push_back(static_cast<std::byte>(mode));
  bytes.resize(bytes.size() + (type == repository::EntryType::kFile ? 4 : 2));
  return bytes;
}

TEST_F(RestoreTest, ForgedManifestDoesNotReachOtherFiles) {
  const auto backup = take_backup(instance_, cluster_);
  const auto outside = directory_.path() / "outside";
  files_.make_directories(outside, 0700);
  files_.create(outside / "file", 0600)->close();
  for (const std::string& path : {(outside / "file").string(), (outside / "new").string(),
                                  std::string("../outside/new"), std::string("../outside/file"), outside.string()}) {
    const auto type = path == outside ? repository::EntryType::kDirectory : repository::EntryType::kFile;
    repository::ContainerWriter container(repository_->data_key(), random_);
    container.begin(repository::manifest_name(backup));
    container.add_group(forged_entry(path, type, 077));
    container.finish(core::Bytes{std::byte{1}, std::byte{0}, std::byte{0}});
    memory_.put(container.name().key, container.buffer());
    auto record = backup;
    record.manifest_id = container.id();
    repository_->put_backup(record);
    RestoreRequest request{.repository = *repository_,
                           .instance = instance_,
                           .backup_id = backup.backup,
                           .data_directory = directory_.path() / "data",
                           .tablespace_directory = directory_.path() / "tablespaces"};
    request.identity = cluster_.identity();
    try {
      restore_files(environment_, request, nullptr, {});
      ADD_FAILURE() << path << " was restored";
    } catch (const core::Error& e) {
      EXPECT_EQ(e.code(), core::Code::kCorruptData) << e.what();
      EXPECT_NE(std::string(e.what()).find("not a plain relative one"), std::string::npos) << e.what();
    }
    EXPECT_EQ(files_.list(outside).size(), 1U);
    EXPECT_EQ(files_.stat(outside / "file")->mode, 0600U);
    EXPECT_EQ(files_.stat(outside)->uid, ::geteuid());
  }
}

TEST_F(RestoreTest, AnotherAttemptsManifestIsRefused) {
  const auto backup = take_backup(instance_, cluster_);
  repository::ManifestWriter other(*repository_, instance_, backup.backup, backup.attempt);
  other.finish();
  const RestoreRequest request{.repository = *repository_,
                               .instance = instance_,
                               .backup_id = backup.backup,
                               .data_directory = directory_.path() / "data",
                               .tablespace_directory = directory_.path() / "tablespaces"};
  try {
    restore_files(environment_, request, nullptr, {});
    ADD_FAILURE() << "it was restored";
  } catch (const core::Error& e) {
    EXPECT_EQ(e.code(), core::Code::kCorruptData) << e.what();
  }
  EXPECT_FALSE(files_.stat(request.data_directory));
}

TEST_F(RestoreTest, FilesAreTheirOwnersAloneWhateverTheirModesWere) {
  const auto data = cluster_.paths().data();
  files_.create(data / "base/odd", 04755)->close();
  files_.set_mode(data / "base/odd", 04755);
  postgres::give_to(files_, data / "base/odd", cluster_.identity());
  files_.set_mode(data / "base/odd", 04755);
  const auto backup = take_backup(instance_, cluster_);
  RestoreRequest request{.repository = *repository_,
                         .instance = instance_,
                         .backup_id = backup.backup,
                         .data_directory = directory_.path() / "data",
                         .tablespace_directory = directory_.path() / "tablespaces"};
  request.identity = cluster_.identity();
  restore_files(environment_, request, nullptr, {});
  EXPECT_EQ(files_.stat(directory_.path() / "data/base/odd")->mode, 0600U);
  EXPECT_EQ(files_.stat(directory_.path() / "data/base")->mode, 0700U);
}

TEST_F(RestoreTest, DirectoryThatIsNotEmptyIsRefused) {
  const auto backup = take_backup(instance_, cluster_);
  files_.make_directories(directory_.path() / "data/something", 0700);
  RestoreRequest request{.repository = *repository_,
                         .instance = instance_,
                         .backup_id = backup.backup,
                         .data_directory = directory_.path() / "data",
                         .tablespace_directory = directory_.path() / "tablespaces"};
  EXPECT_THROW(restore_files(environment_, request, nullptr, {}), core::Error);
}

}  // namespace
}  // namespace backstay::backup
