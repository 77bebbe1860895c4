#include "os/file_system.h"

#include <thread>

#include <gtest/gtest.h>

#include <unistd.h>

#include "core/error.h"
#include "core/random.h"
#include "os/testing/faulty_file_system.h"
#include "os/testing/memory_file_system.h"

namespace backstay::os {
namespace {

using testing::FaultyFileSystem;
using testing::MemoryFileSystem;

core::Code code_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const core::Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "no error";
  return core::Code::kInternal;
}

/// One contract for the real file system and its double.
class FileSystemTest : public ::testing::TestWithParam<bool> {
 public:
  FileSystemTest() {
    core::SystemRandom random;
    if (GetParam()) {
      files_ = std::make_unique<RealFileSystem>();
    } else {
      files_ = std::make_unique<MemoryFileSystem>();
    }
    root_ = "/tmp/backstay-os-" + random.token(12);
    files_->make_directories(root_, 0700);
  }
  ~FileSystemTest() override { files_->remove_all(root_); }

 protected:
  void write(const Path& path, std::string_view text) {
    files_->make_directories(path.parent_path(), 0700);
    const auto file = files_->create(path, 0600);
    file->append(core::as_bytes(text));
    file->close();
  }
  std::string read(const Path& path) { return std::string(core::as_text(files_->read_file(path))); }

  std::unique_ptr<FileSystem> files_;
  Path root_;
};

TEST_P(FileSystemTest, WritesAndReadsAtOffsets) {
  const auto file = files_->create(root_ / "a", 0640);
  file->append(core::as_bytes("hello world"));
  file->write_at(6, core::as_bytes("WORLD"));
  file->append(core::as_bytes("!"));
  file->write_at(14, core::as_bytes("x"));
  file->sync();
  file->close();
  EXPECT_EQ(read(root_ / "a"), std::string("hello WORLD!\0\0x", 15));
  const auto in = files_->open_read(root_ / "a");
  EXPECT_EQ(in->size(), 15U);
  core::Bytes buffer(100);
  EXPECT_EQ(in->read_at(12, buffer), 3U);
  EXPECT_EQ(in->read_at(15, buffer), 0U);
  EXPECT_EQ(files_->stat(root_ / "a")->mode, 0640U);
}

TEST_P(FileSystemTest, OpenWriteKeepsTheContent) {
  write(root_ / "a", "abcdef");
  const auto file = files_->open_write(root_ / "a");
  file->append(core::as_bytes("g"));
  file->truncate(5);
  file->append(core::as_bytes("h"));
  file->close();
  EXPECT_EQ(read(root_ / "a"), "abcdeh");
}

TEST_P(FileSystemTest, ListsSortedAndTellsTypes) {
  write(root_ / "b", "");
  write(root_ / "a", "");
  files_->make_directories(root_ / "c/d", 0700);
  files_->make_symlink("../somewhere", root_ / "e");
  const auto entries = files_->list(root_);
  ASSERT_EQ(entries.size(), 4U);
  EXPECT_EQ(entries[0].name, "a");
  EXPECT_EQ(entries[1].name, "b");
  EXPECT_EQ(entries[2].type, FileType::kDirectory);
  EXPECT_EQ(entries[3].type, FileType::kSymlink);
  EXPECT_EQ(files_->read_link(root_ / "e"), "../somewhere");
  EXPECT_EQ(files_->stat(root_ / "e")->type, FileType::kSymlink);
}

TEST_P(FileSystemTest, MissingPathsAreNotFound) {
  EXPECT_FALSE(files_->stat(root_ / "no"));
  EXPECT_FALSE(files_->stat(root_ / "no/deeper"));
  EXPECT_EQ(code_of([&] { files_->read_file(root_ / "no"); }), core::Code::kNotFound);
  EXPECT_EQ(code_of([&] { files_->list(root_ / "no"); }), core::Code::kNotFound);
  EXPECT_EQ(code_of([&] { files_->open_read(root_ / "no"); }), core::Code::kNotFound);
  EXPECT_EQ(code_of([&] { files_->open_write(root_ / "no"); }), core::Code::kNotFound);
  EXPECT_EQ(code_of([&] { files_->rename(root_ / "no", root_ / "x"); }), core::Code::kNotFound);
  EXPECT_EQ(code_of([&] { files_->create(root_ / "no/x", 0600); }), core::Code::kNotFound);
  files_->remove(root_ / "no");
}

TEST_P(FileSystemTest, RenameReplacesAndRemoveRefusesFullDirectories) {
  write(root_ / "a", "new");
  write(root_ / "b", "old");
  files_->rename(root_ / "a", root_ / "b");
  EXPECT_EQ(read(root_ / "b"), "new");
  EXPECT_FALSE(files_->stat(root_ / "a"));
  write(root_ / "dir/file", "");
  EXPECT_EQ(code_of([&] { files_->remove(root_ / "dir"); }), core::Code::kIoError);
  files_->remove_all(root_ / "dir");
  EXPECT_FALSE(files_->stat(root_ / "dir"));
}

TEST_P(FileSystemTest, MakeDirectoriesIsIdempotentAndRefusesAFileInTheWay) {
  files_->make_directories(root_ / "x/y/z", 0700);
  files_->make_directories(root_ / "x/y/z", 0700);
  files_->make_directories(root_ / "x/y/", 0700);
  write(root_ / "file", "");
  EXPECT_EQ(code_of([&] { files_->make_directories(root_ / "file", 0700); }), core::Code::kIoError);
  EXPECT_EQ(code_of([&] { files_->make_directories(root_ / "file/x", 0700); }), core::Code::kIoError);
}

TEST_P(FileSystemTest, WriteFileDurablyReplacesAndLeavesNoTemporary) {
  files_->write_file_durably(root_ / "a", core::as_bytes("one"), 0600);
  files_->write_file_durably(root_ / "a", core::as_bytes("two"), 0644);
  EXPECT_EQ(read(root_ / "a"), "two");
  EXPECT_EQ(files_->stat(root_ / "a")->mode, 0644U);
  EXPECT_EQ(files_->list(root_).size(), 1U);
}

TEST_P(FileSystemTest, CreatesNewFilesOnly) {
  files_->create_new(root_ / "a", 0640)->close();
  EXPECT_EQ(files_->stat(root_ / "a")->mode, 0640U);
  EXPECT_EQ(code_of([&] { files_->create_new(root_ / "a", 0600); }), core::Code::kAlreadyExists);
  files_->make_symlink("nowhere", root_ / "b");
  EXPECT_EQ(code_of([&] { files_->create_new(root_ / "b", 0600); }), core::Code::kAlreadyExists);
}

TEST_P(FileSystemTest, ManyWriteOneFileDurably) {
  const std::string one(10000, '1');
  const std::string two(20000, '2');
  {
    const auto write = [&](const std::string& content) {
      for (int i = 0; i < 50; ++i) files_->write_file_durably(root_ / "a", core::as_bytes(content), 0600);
    };
    const std::jthread first([&] { write(one); });
    const std::jthread second([&] { write(two); });
  }
  const auto content = read(root_ / "a");
  EXPECT_TRUE(content == one || content == two);
  EXPECT_EQ(files_->list(root_).size(), 1U);
}

TEST_P(FileSystemTest, WhatAnotherOneWritesIsNotFollowed) {
  write(root_ / "victim", "kept");
  files_->make_symlink(root_ / "victim", root_ / "a.writing");
  files_->write_file_durably(root_ / "a", core::as_bytes("new"), 0600);
  EXPECT_EQ(read(root_ / "victim"), "kept");
  EXPECT_EQ(read(root_ / "a"), "new");
}

TEST_P(FileSystemTest, SyncsAndFreeSpace) {
  write(root_ / "a", "x");
  files_->sync_directory(root_);
  files_->sync_file_system(root_);
  EXPECT_GT(files_->free_space(root_), 0U);
  files_->set_mode(root_ / "a", 0400);
  EXPECT_EQ(files_->stat(root_ / "a")->mode, 0400U);
  files_->set_owner(root_ / "a", getuid(), getgid());
  EXPECT_EQ(files_->stat(root_ / "a")->uid, getuid());
}

INSTANTIATE_TEST_SUITE_P(All, FileSystemTest, ::testing::Bool(),
                         [](const auto& instance) { return instance.param ? "Real" : "Memory"; });

TEST(RealFileSystemTest, ReadsFilesThatDoNotTellTheirSize) {
  RealFileSystem files;
  EXPECT_GT(files.read_file("/proc/self/status").size(), 100U);
}

TEST(MemoryFileSystemTest, CrashLosesWhatWasNotSynced) {
  MemoryFileSystem files;
  const auto synced = files.create("/tmp/synced", 0600);
  synced->append(core::as_bytes("kept"));
  synced->sync();
  files.sync_directory("/tmp");
  synced->append(core::as_bytes(" lost"));
  const auto nameless = files.create("/tmp/nameless", 0600);
  nameless->append(core::as_bytes("x"));
  nameless->sync();
  files.crash();
  EXPECT_EQ(core::as_text(files.read_file("/tmp/synced")), "kept");
  EXPECT_FALSE(files.stat("/tmp/nameless"));
}

TEST(MemoryFileSystemTest, FullDiskRefusesWrites) {
  MemoryFileSystem files;
  files.set_capacity(10);
  const auto file = files.create("/tmp/a", 0600);
  file->append(core::to_bytes("12345678"));
  EXPECT_EQ(code_of([&] { file->append(core::as_bytes("abc")); }), core::Code::kDiskFull);
  EXPECT_EQ(files.free_space("/"), 2U);
}

TEST(WriteFileDurablyTest, PowerLossAtAnyCallLeavesTheOldOrTheNewContent) {
  bool finished = false;
  bool seen_old = false;
  for (std::uint64_t n = 1; !finished; ++n) {
    MemoryFileSystem disk;
    disk.write_file_durably("/tmp/a", core::as_bytes("old"), 0600);
    FaultyFileSystem faulty(disk);
    faulty.fail_from(n);
    try {
      faulty.write_file_durably("/tmp/a", core::as_bytes("new"), 0600);
      finished = true;
    } catch (const core::Error&) {  // NOLINT(bugprone-empty-catch): the call that failed
    }
    disk.crash();
    const core::Bytes content = disk.read_file("/tmp/a");
    const std::string_view text = core::as_text(content);
    EXPECT_TRUE(text == "old" || text == "new") << "call " << n << ": " << text;
    EXPECT_TRUE(!finished || text == "new");
    seen_old = seen_old || text == "old";
    ASSERT_LT(n, 100U);
  }
  EXPECT_TRUE(seen_old);
}

}  // namespace
}  // namespace backstay::os
