#include "postgres/postmaster_file.h"

#include <sys/stat.h>

#include <gtest/gtest.h>

#include "os/file_system.h"
#include "postgres/testing/test_cluster.h"

namespace backstay::postgres {
namespace {

class PostmasterFileTest : public ::testing::Test {
 protected:
  void write(const std::string& text) {
    const auto file = files_.create(path(), 0600);
    file->append(core::as_bytes(text));
    file->close();
  }
  std::optional<PostmasterFile> read() { return read_postmaster_file(directory_.path()); }
  std::filesystem::path path() { return directory_.path() / kPostmasterFile; }

  testing::TemporaryDirectory directory_;
  os::RealFileSystem files_;
};

TEST_F(PostmasterFileTest, SaysWhichProcessAndWhetherItIsReady) {
  EXPECT_FALSE(read());
  write("4711\n/data\n1\n5432\n/socket\n\n 1 2\nready   \n");
  EXPECT_EQ(read()->pid, 4711);
  EXPECT_TRUE(read()->ready);
  write("4711\n/data\n1\n5432\n/socket\n\n 1 2\nstarting\n");
  EXPECT_FALSE(read()->ready);
  write("");
  EXPECT_FALSE(read());
}

TEST_F(PostmasterFileTest, WhatATenantPutsInItsPlaceHoldsNobodyUp) {
  ASSERT_EQ(::mkfifo(path().c_str(), 0600), 0);
  EXPECT_FALSE(read());
  files_.remove(path());
  files_.make_symlink("/dev/zero", path());
  EXPECT_FALSE(read());
  files_.remove(path());
  write("4711\n" + std::string(1 << 20, 'x'));
  EXPECT_FALSE(read());
}

}  // namespace
}  // namespace backstay::postgres
