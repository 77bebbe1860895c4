#include "os/close_watch.h"

#include <cstdlib>
#include <fstream>

#include <gtest/gtest.h>

#include "core/error.h"

namespace backstay::os {
namespace {

using std::chrono::milliseconds;

class CloseWatchTest : public ::testing::Test {
 public:
  CloseWatchTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "close-watch-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
  }
  ~CloseWatchTest() override { std::filesystem::remove_all(directory_); }

 protected:
  std::filesystem::path directory_;
};

TEST_F(CloseWatchTest, NamesAFileWhenItIsClosed) {
  CloseWatch watch(directory_);
  std::ofstream open(directory_ / "open");
  open << "half" << std::flush;
  std::ofstream(directory_ / "whole") << "all";
  EXPECT_EQ(watch.wait(milliseconds(10'000)), std::vector<std::string>{"whole"});
  open.close();
  EXPECT_EQ(watch.wait(milliseconds(10'000)), std::vector<std::string>{"open"});
  EXPECT_TRUE(watch.wait(milliseconds(0)).empty());
}

TEST_F(CloseWatchTest, ReadingIsNotWriting) {
  std::ofstream(directory_ / "file") << "content";
  CloseWatch watch(directory_);
  std::ifstream(directory_ / "file").get();
  EXPECT_TRUE(watch.wait(milliseconds(0)).empty());
}

TEST_F(CloseWatchTest, ADirectoryThatIsNotThereCannotBeWatched) {
  try {
    const CloseWatch watch(directory_ / "missing");
    FAIL() << "it was watched";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::Code::kNotFound);
  }
}

}  // namespace
}  // namespace backstay::os
