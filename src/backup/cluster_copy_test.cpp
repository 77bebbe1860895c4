// What a base backup reads while the server goes on writing: torn pages, files that go, and pg_control.
#include "backup/cluster_copy.h"

#include <fcntl.h>

#include <gtest/gtest.h>

#include "backup/page_verifier.h"
#include "core/error.h"
#include "os/file.h"
#include "postgres/page_checksum.h"
#include "postgres/testing/test_cluster.h"
#include "repository/pack_writer.h"
#include "repository/testing/fixture.h"

namespace backstay::backup {
namespace {

constexpr std::size_t kPage = postgres::kPageSize;

/// Something happens each time that somebody waits.
class ActingClock final : public core::Clock {
 public:
  explicit ActingClock(std::function<void()> act) : act_(std::move(act)) {}
  core::Timestamp now() override { return clock_.now(); }
  core::SteadyTime steady_now() override { return clock_.steady_now(); }
  bool wait(std::stop_token stop, core::Duration) override {
    ++waits;
    act_();
    return !stop.stop_requested();
  }
  int waits = 0;

 private:
  core::SystemClock clock_;
  std::function<void()> act_;
};

core::Bytes page(std::uint32_t block, std::uint32_t lsn, std::byte filling) {
  core::Bytes bytes(kPage, filling);
  std::fill_n(bytes.begin(), 24, std::byte{});
  std::memcpy(&bytes[4], &lsn, sizeof lsn);  // the lower half of the LSN
  const std::uint16_t upper = kPage;
  std::memcpy(&bytes[14], &upper, sizeof upper);  // a page without space is one that was initialised
  const auto checksum = postgres::page_checksum(bytes, block);
  std::memcpy(&bytes[8], &checksum, sizeof checksum);
  return bytes;
}

class ClusterCopyTest : public repository::testing::RepositoryFixture {
 public:
  ClusterCopyTest() : root_("/tmp/backstay-copy-" + random_.token(12)) {
    files_.make_directories(root_ / "base/1", 0700);
  }
  ~ClusterCopyTest() override { files_.remove_all(root_); }
  ClusterCopyTest(const ClusterCopyTest&) = delete;
  ClusterCopyTest& operator=(const ClusterCopyTest&) = delete;

 protected:
  void write(const std::filesystem::path& file, core::ByteSpan content) {
    files_.write_file_durably(root_ / file, content, 0600);
  }

  os::RealFileSystem files_;
  std::filesystem::path root_;
};

TEST_F(ClusterCopyTest, APageThatIsBeingWrittenIsReadAgain) {
  const auto whole = page(7, 100, std::byte{'a'});
  auto torn = whole;
  std::fill(torn.begin() + kPage / 2, torn.end(), std::byte{'b'});
  write("relation", torn);
  const os::Descriptor fd(::open((root_ / "relation").c_str(), O_RDONLY | O_CLOEXEC));
  ActingClock clock([&] {
    const os::Descriptor writer(::open((root_ / "relation").c_str(), O_WRONLY | O_CLOEXEC));
    os::write_all(writer.get(), whole);
  });
  auto read = torn;
  EXPECT_TRUE(PageVerifier(clock, postgres::Lsn{200}).verify(fd.get(), read, 0, 7, {}).empty());
  EXPECT_EQ(read, whole) << "what was read last goes into the backup";
  EXPECT_EQ(clock.waits, 1);
}

TEST_F(ClusterCopyTest, APageThatStaysTornCountsOnlyIfReplayDoesNotWriteItAnew) {
  auto torn = page(7, 100, std::byte{'a'});
  torn[kPage - 1] = std::byte{'b'};
  write("relation", torn);
  const os::Descriptor fd(::open((root_ / "relation").c_str(), O_RDONLY | O_CLOEXEC));
  ActingClock clock([] {});
  auto read = torn;
  EXPECT_EQ(PageVerifier(clock, postgres::Lsn{200}).verify(fd.get(), read, 0, 7, {}), std::vector<std::uint32_t>{7});
  EXPECT_EQ(clock.waits, 4);
  EXPECT_TRUE(PageVerifier(clock, postgres::Lsn{100}).verify(fd.get(), read, 0, 7, {}).empty());
}

core::Bytes blocks(unsigned count) {
  core::Bytes bytes;
  for (unsigned i = 0; i < count; ++i) {
    const auto one = page(i, 1, std::byte{'p'});
    bytes.insert(bytes.end(), one.begin(), one.end());
  }
  return bytes;
}

TEST_F(ClusterCopyTest, FilesThatVanishOrShrinkAreNormal) {
  write("PG_VERSION", core::as_bytes("15\n"));
  write("base/1/1000", blocks(4));
  write("base/1/2000", blocks(4));
  write("base/1/3000", blocks(4));
  core::SystemClock clock;
  os::SystemProcessRunner runner;
  const Environment environment{clock, random_, files_, runner};
  repository::PackUploader uploader(*repository_);
  bool walked = false;
  const auto after_the_walk = [&](const Progress&) {
    if (std::exchange(walked, true)) return;
    files_.remove(root_ / "base/1/1000");
    std::filesystem::resize_file(root_ / "base/1/2000", kPage);
  };
  EntryList copied(environment, root_ / "scratch");
  const auto copy = copy_cluster(environment, {.data_directory = root_, .start = postgres::Lsn{100}}, uploader, copied,
                                 after_the_walk, {});
  uploader.finish();
  std::map<std::string, std::uint64_t> sizes;
  copied.rewind();
  while (const auto entry = copied.next()) {
    if (entry->type == repository::EntryType::kFile) sizes[entry->path] = entry->size;
  }
  EXPECT_EQ(sizes, (std::map<std::string, std::uint64_t>{
                       {"PG_VERSION", 3}, {"base/1/2000", kPage}, {"base/1/3000", 4 * kPage}}));
  EXPECT_EQ(copy.pages_failed, 0U);
}

/// More than a reader of manifests asks for at once.
std::vector<repository::FileEntry> many_extents(std::mt19937_64& engine, const repository::ObjectId& pack) {
  std::vector<repository::FileEntry> entries;
  for (int i = 0; i < 100; ++i) {
    repository::FileEntry entry{.path = fmt::format("base/1/{}", 2000 + i)};
    for (int j = 0; j < 10'000; ++j) {
      const auto chance = engine();
      entry.extents.push_back({.file_offset = entry.size,
                               .length = 1 + chance % (1U << 20),
                               .position = {pack, static_cast<std::uint32_t>(chance >> 20U) % 1'000'000,
                                            static_cast<std::uint32_t>(chance >> 40U) % 100'000}});
      entry.size += entry.extents.back().length;
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

TEST_F(ClusterCopyTest, ABaseThatIsDamagedMeanwhileCostsTimeOnly) {
  core::SystemClock clock;
  os::SystemProcessRunner runner;
  const Environment environment{clock, random_, files_, runner};
  repository::PackUploader uploader(*repository_);
  repository::PackWriter writer(uploader);
  repository::FileEntry first{.path = "base/1/1000", .size = 4 * kPage};
  writer.add(0, blocks(4), first.extents);
  repository::FileEntry last{.path = "base/1/3000", .size = 4 * kPage, .extents = {}};
  writer.add(0, blocks(4), last.extents);
  writer.finish();
  const auto first_extents = first.extents;
  repository::ManifestWriter manifest(*repository_, repository::testing::kInstance, repository::testing::kBackup, {});
  manifest.add(first);
  for (const auto& entry : many_extents(engine_, first.extents.front().position.pack)) manifest.add(entry);
  manifest.add(last);
  const auto written = manifest.finish();
  ASSERT_GT(written.stored_size, 5U << 20);
  CopyBase base{.repository = *repository_};
  base.record.instance = repository::testing::kInstance;
  base.record.backup = repository::testing::kBackup;
  base.record.manifest_id = written.id;
  base.record.start_lsn = 50;
  write("PG_VERSION", core::as_bytes("15\n"));
  write(first.path, blocks(4));
  write(last.path, blocks(4));
  EntryList copied(environment, root_ / "scratch");
  const auto after_the_walk = [&](const Progress&) {
    store_->remove(std::vector{repository::manifest_name(base.record).key});
  };
  const auto copy = copy_cluster(environment, {.data_directory = root_, .start = postgres::Lsn{100}, .base = &base},
                                 uploader, copied, after_the_walk, {});
  uploader.finish();
  EXPECT_EQ(copy.mismatch, "");
  EXPECT_NE(copy.late_damage, "");
  EXPECT_EQ(copy.pages_kept, 4U);
  EXPECT_EQ(copy.bytes, 3 + 4 * kPage);
  std::map<std::string, std::vector<repository::Extent>> found;
  copied.rewind();
  while (const auto entry = copied.next()) found[entry->path] = entry->extents;
  EXPECT_EQ(found[first.path], first_extents);
  EXPECT_FALSE(found[last.path].empty());
  EXPECT_NE(found[last.path], last.extents);
}

TEST_F(ClusterCopyTest, PgControlIsReadUntilItsChecksumHolds) {
  postgres::testing::TestCluster cluster;
  const auto good = files_.read_file(cluster.paths().data() / "global/pg_control");
  auto half = good;
  std::fill(half.begin() + 100, half.begin() + 300, std::byte{});
  files_.make_directories(root_ / "global", 0700);
  write("global/pg_control", half);
  int reads = 0;
  ActingClock clock([&] {
    if (++reads == 3) write("global/pg_control", good);
  });
  EXPECT_EQ(read_control_file(clock, root_, {}), good);
  EXPECT_EQ(reads, 3);

  write("global/pg_control", half);
  ActingClock patient([] {});
  EXPECT_EQ(code_of([&] { (void)read_control_file(patient, root_, {}); }), core::Code::kCorruptData);
}

}  // namespace
}  // namespace backstay::backup
