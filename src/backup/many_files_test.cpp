// What a backup, its reading back and its restore hold at once does not grow with the number of files.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "backup/cluster_copy.h"
#include "backup/restore.h"
#include "backup/testing/heap_meter.h"
#include "blob/directory_store.h"
#include "os/process.h"
#include "postgres/control_file.h"
#include "repository/testing/fixture.h"
#include "repository/verify.h"
#include "repository/verify_all.h"

namespace backstay::backup {
namespace {

constexpr std::size_t kFew = 6'000;
constexpr std::size_t kMany = 14'000;
/// Half of it is relations, all in one directory: their names are held, with five bytes each.
constexpr std::size_t kBytesAFile = 40;
/// What varies from run to run: how full buffers are.
constexpr std::size_t kSlack = 1024 * 1024;
/// A restore's queue is full or never, as its threads happen to run; all files would be more than five megabytes.
constexpr std::size_t kQueue = 3 * 1024 * 1024;

struct Held {
  std::size_t full = 0;
  std::size_t incremental = 0;
  std::size_t read_back = 0;
  std::size_t restore = 0;
};

class ManyFilesTest : public repository::testing::RepositoryFixture {
 public:
  /// In memory where there is such a place: making and removing so many files takes a busy disk long.
  ManyFilesTest()
      : root_((std::filesystem::exists("/dev/shm") ? "/dev/shm" : "/tmp") + ("/backstay-many-" + random_.token(12))) {}
  ~ManyFilesTest() override { files_.remove_all(root_); }
  ManyFilesTest(const ManyFilesTest&) = delete;
  ManyFilesTest& operator=(const ManyFilesTest&) = delete;

 protected:
  void write(const std::filesystem::path& path, core::ByteSpan content) {
    const auto file = files_.create(path, 0600);
    file->append(content);
    file->close();
  }
  void make_tree(const std::filesystem::path& data, std::size_t count) {
    files_.make_directories(data / "base/1", 0700);
    files_.make_directories(data / "global", 0700);
    write(data / "PG_VERSION", core::as_bytes("15\n"));
    write(data / "global/pg_control", core::as_bytes("control"));
    for (std::size_t i = 0; i < count; ++i) {
      if (i % 200 == 0) files_.make_directories(data / directory_of(i), 0700);
      write(i % 2 == 0 ? data / "base/1" / std::to_string(16384 + i) : data / directory_of(i) / std::to_string(i),
            core::as_bytes(std::to_string(i)));
    }
  }
  /// Long enough for a few files to fill a block of the lists, which then have all their buffers.
  static std::string directory_of(std::size_t file) { return fmt::format("more/{:0150}", file / 200); }
  repository::BackupRecord back_up(repository::Repository& repository, const std::filesystem::path& data,
                                   const CopyBase* base, std::size_t& held);
  Held measure(std::size_t count);

  os::RealFileSystem files_;
  core::SystemClock time_;
  os::SystemProcessRunner processes_;
  const Environment environment_{time_, random_, files_, processes_};
  std::filesystem::path root_;
};

/// The files, without a server's WAL. `held` is what the copy has held: of the manifest up to eight megabytes are sent
/// together.
repository::BackupRecord ManyFilesTest::back_up(repository::Repository& repository, const std::filesystem::path& data,
                                                const CopyBase* base, std::size_t& held) {
  repository::BackupRecord record;
  record.instance = repository::testing::kInstance;
  record.backup = random_.uuid();
  record.attempt = repository::new_object_id(random_);
  repository::PackUploader uploader(repository);
  EntryList copied(environment_, root_ / "scratch");
  const repository::ContentChunker chunker(repository.data_key());
  // One worker: of two, one may be ahead by as much as the queue holds.
  const CopyRequest request{.data_directory = data,
                            .scratch_directory = root_ / "scratch",
                            .start = postgres::Lsn{100},
                            .checksums = false,
                            .workers = 1,
                            .chunker = &chunker,
                            .base = base};
  held = *testing::most_held([&] { copy_cluster(environment_, request, uploader, copied, nullptr, {}); });
  uploader.finish();
  repository::ManifestWriter manifest(repository, record.instance, record.backup, record.attempt);
  copied.rewind();
  while (const auto entry = copied.next()) manifest.add(*entry);
  record.manifest_id = manifest.finish().id;
  repository.put_backup(record);
  return record;
}

Held ManyFilesTest::measure(std::size_t count) {
  const auto place = root_ / std::to_string(count);
  make_tree(place / "data", count);
  files_.make_directories(place / "store", 0700);
  const auto repository = repository::Repository::create(
      std::make_shared<blob::DirectoryStore>(place / "store", time_, random_), key_, random_, time_);
  Held held;
  const auto full = back_up(*repository, place / "data", nullptr, held.full);
  const CopyBase base{*repository, full, {}};
  const auto incremental = back_up(*repository, place / "data", &base, held.incremental);
  held.read_back = *testing::most_held([&] {
    const auto report = verify_backup(*repository, full.instance, incremental.backup, {}, {});
    EXPECT_TRUE(report.ok());
    EXPECT_EQ(report.files, count + 2);
  });
  held.restore = *testing::most_held([&] {
    const RestoreRequest request{.repository = *repository,
                                 .instance = full.instance,
                                 .backup_id = incremental.backup,
                                 .data_directory = place / "restored",
                                 .tablespace_directory = place / "tablespaces",
                                 .workers = 1};
    EXPECT_EQ(restore_files(environment_, request, nullptr, {}).files, count + 2);
  });
  EXPECT_EQ(core::as_text(files_.read_file(place / "restored" / directory_of(999) / "999")), "999");
  return held;
}

TEST_F(ManyFilesTest, AreNeverHeldAtOnce) {
  if (!testing::most_held([] {})) GTEST_SKIP() << "this build's allocator cannot be asked";
  const Held few = measure(kFew);
  const Held many = measure(kMany);
  constexpr std::size_t kMore = kSlack + (kMany - kFew) * kBytesAFile;
  EXPECT_LT(many.full, few.full + kMore);
  EXPECT_LT(many.incremental, few.incremental + kMore);
  EXPECT_LT(many.read_back, few.read_back + kMore);
  EXPECT_LT(many.restore, few.restore + kMore + kQueue);
}

}  // namespace
}  // namespace backstay::backup
