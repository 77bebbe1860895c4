#include "backup/gap_map.h"

#include "os/process.h"
#include "os/testing/faulty_file_system.h"
#include "os/testing/memory_file_system.h"
#include "repository/testing/fixture.h"

namespace backstay::backup {
namespace {

using repository::testing::kInstance;

constexpr std::uint64_t kSegment = 1U << 20;
const std::filesystem::path kDirectory = "/tmp";
const std::filesystem::path kFile = kDirectory / "gap";

class GapMapTest : public repository::testing::RepositoryFixture {
 protected:
  GapMapTest() : changes_(environment_, *repository_, kInstance, kSegment, 1), map_(environment_, kDirectory) {}
  void keep() {
    GapRecord head;
    head.system_identifier = 7;
    head.timeline = {2};
    head.from = {kSegment};
    EXPECT_EQ(map_.keep(head, changes_, {3 * kSegment}).value, 3 * kSegment);
  }

  os::testing::MemoryFileSystem memory_files_;
  os::testing::FaultyFileSystem files_{memory_files_};
  os::SystemProcessRunner processes_;
  Environment environment_{clock_, random_, files_, processes_};
  ChangeKeeper changes_;
  GapMap map_;
};

TEST_F(GapMapTest, FileOfAGapThatIsOverGoesOnceTheDiskLetsIt) {
  keep();
  map_.close({3 * kSegment});
  files_.fail_from(1);
  map_.look(changes_);
  map_.look(changes_);
  EXPECT_EQ(files_.calls(), 1U) << "a disk that refused is left alone for a while";
  files_.fail_call(0);
  EXPECT_TRUE(files_.stat(kFile));
  clock_.advance(std::chrono::minutes(2));
  map_.look(changes_);
  EXPECT_FALSE(files_.stat(kFile));
}

TEST_F(GapMapTest, PassingErrorOfTheDiskLosesNothing) {
  keep();
  for (std::uint64_t call = 1; call <= 2; ++call) {
    files_.fail_call(call);
    EXPECT_EQ(code_of([&] { map_.load(); }), core::Code::kIoError);
  }
  const auto record = map_.load();
  ASSERT_TRUE(record);
  EXPECT_EQ(record->timeline.value, 2U);
  EXPECT_EQ(record->acknowledged.value, 3 * kSegment);
}

TEST_F(GapMapTest, DamagedFileIsPassedOverAndGoes) {
  keep();
  core::Bytes content = files_.read_file(kFile);
  content.back() ^= std::byte{1};
  files_.write_file_durably(kFile, content, 0600);
  EXPECT_FALSE(map_.load());
  map_.look(changes_);
  EXPECT_FALSE(files_.stat(kFile));
}

}  // namespace
}  // namespace backstay::backup
