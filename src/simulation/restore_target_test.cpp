// A restore onto a disk that gets full, fails, or is left in the middle: a directory with a control file is whole and
// on the disk, and any other can be thrown away and filled again.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "backup/restore.h"
#include "blob/testing/memory_store.h"
#include "core/error.h"
#include "os/file_system.h"
#include "os/process.h"
#include "postgres/testing/test_cluster.h"
#include "repository/manifest.h"
#include "repository/pack_writer.h"
#include "repository/writer_mark.h"
#include "simulation/actor.h"
#include "simulation/failing_calls.h"
#include "simulation/model_server.h"
#include "simulation/settings.h"

namespace backstay::simulation {
namespace {

const std::string kControlFile = "global/pg_control";
const std::string kInstance = "11111111-1111-4111-8111-111111111111";
const std::string kBackup = "22222222-2222-4222-8222-222222222222";

class RestoreTargetTest : public ::testing::Test {
 protected:
  RestoreTargetTest() {
    const repository::TeamKey key(repository::KeyBytes::generate(random_));
    repository_ = repository::Repository::create(store_, key, random_, clock_);
    put_backup();
  }

  void put_backup() {
    const repository::WriterMark mark(*repository_, kInstance, kBackup);
    repository::PackUploader uploader(*repository_);
    repository::PackWriter writer(uploader);
    repository::ManifestWriter manifest(*repository_, kInstance, kBackup, mark.attempt());
    const auto add = [&](repository::FileEntry entry, const core::Bytes& content) {
      entry.size = content.size();
      if (!content.empty()) writer.add(0, content, entry.extents);
      if (entry.type == repository::EntryType::kFile) files_[entry.path] = content;
      manifest.add(entry);
    };
    add({.path = "PG_VERSION"}, core::to_bytes("15\n"));
    add({.path = "base", .type = repository::EntryType::kDirectory}, {});
    const ModelServer server(dice_, kInstance);
    for (const auto& file : server.files()) contents_[file.path] = file.content();
    std::string directory;
    for (const auto& [path, content] : contents_) {
      const std::string above = path.substr(0, path.rfind('/'));
      if (std::exchange(directory, above) != above) add({.path = above, .type = repository::EntryType::kDirectory}, {});
      add({.path = path}, content);
    }
    add({.path = "global", .type = repository::EntryType::kDirectory}, {});
    add({.path = kControlFile}, core::Bytes(8192, std::byte{7}));
    writer.finish();
    uploader.finish();
    repository::BackupRecord record{.backup = kBackup, .instance = kInstance};
    record.attempt = mark.attempt();
    record.manifest_id = manifest.finish().id;
    mark.publish(record);
  }

  /// True if it came to its end.
  bool restore() {
    const backup::Environment environment{clock_, random_, real_files_, processes_};
    try {
      backup::restore_files(environment,
                            {.repository = *repository_,
                             .instance = kInstance,
                             .backup_id = kBackup,
                             .data_directory = target(),
                             .tablespace_directory = place_.path() / "tablespaces",
                             .workers = 2},
                            nullptr, {});
      return true;
    } catch (const core::Error& error) {
      EXPECT_NE(error.code(), core::Code::kCorruptData) << error.what();
      return false;
    }
  }

  void expect_whole(const std::string& when) {
    for (const auto& [path, content] : files_) {
      ASSERT_TRUE(std::filesystem::exists(target() / path)) << when << ": " << path;
      EXPECT_EQ(core::as_text(real_files_.read_file(target() / path)), core::as_text(content)) << when << ": " << path;
    }
  }

  [[nodiscard]] std::filesystem::path target() const { return place_.path() / "disk" / "data"; }

  Dice dice_{first_seed()};
  core::SystemRandom random_;
  core::SystemClock clock_;
  os::RealFileSystem real_files_;
  os::SystemProcessRunner processes_;
  const postgres::testing::TemporaryDirectory place_;
  std::shared_ptr<blob::testing::MemoryStore> store_ = std::make_shared<blob::testing::MemoryStore>();
  std::unique_ptr<repository::Repository> repository_;
  std::map<std::string, core::Bytes> contents_;
  std::map<std::string, core::Bytes> files_;
};

TEST_F(RestoreTargetTest, AControlFileIsThereOnlyWhenEverythingIsOnTheDisk) {
  const auto run = [&](std::uint64_t dies, std::uint64_t fails) {
    std::filesystem::remove_all(place_.path() / "disk");
    std::filesystem::create_directory(place_.path() / "disk");
    std::uint64_t calls = 0;
    bool done = false;
    {
      FailingCalls failing(dice_, place_.path() / "disk", kControlFile.substr(kControlFile.find('/')));
      failing.die_at(dies);
      failing.fail_at(fails);
      done = restore();
      calls = failing.calls();
      EXPECT_FALSE(failing.was_early()) << "killed at " << dies << ", failed at " << fails;
    }
    const std::string when = fmt::format("killed at {}, failed at {}", dies, fails);
    EXPECT_TRUE(!done || std::filesystem::exists(target() / kControlFile)) << when;
    if (std::filesystem::exists(target() / kControlFile)) expect_whole(when);
    return std::pair(done, calls);
  };
  const auto [whole, calls] = run(0, 0);
  ASSERT_TRUE(whole);
  ASSERT_GT(calls, 30U);
  unsigned unfinished = 0;
  for (std::uint64_t call = 1; call <= calls && !HasFailure(); ++call) {
    unfinished += run(call, 0).first ? 0 : 1;
    unfinished += run(0, call).first ? 0 : 1;
    if (call % 8 != 0) continue;
    // What is left is thrown away, and all is well.
    std::filesystem::remove_all(target());
    EXPECT_TRUE(restore());
    expect_whole("begun again");
  }
  EXPECT_GE(unfinished, calls) << "no restore is done before its last call";
}

}  // namespace
}  // namespace backstay::simulation
