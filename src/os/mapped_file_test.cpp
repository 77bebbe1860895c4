#include "os/mapped_file.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "core/error.h"

namespace backstay::os {
namespace {

class MappedFileTest : public ::testing::Test {
 public:
  MappedFileTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "mapped-file-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
  }
  ~MappedFileTest() override { std::filesystem::remove_all(directory_); }

 protected:
  std::filesystem::path directory_;
};

TEST_F(MappedFileTest, HasWhatTheFileHas) {
  std::ofstream(directory_ / "dump") << "SELECT 1;";
  EXPECT_EQ(core::as_text(MappedFile(directory_ / "dump").bytes()), "SELECT 1;");
  std::ofstream(directory_ / "empty").flush();
  EXPECT_TRUE(MappedFile(directory_ / "empty").bytes().empty());
}

TEST_F(MappedFileTest, RefusesWhatIsNoFile) {
  EXPECT_THROW(MappedFile{directory_}, core::Error);
  EXPECT_THROW(MappedFile{directory_ / "absent"}, core::Error);
}

}  // namespace
}  // namespace backstay::os
