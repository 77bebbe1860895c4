#include "backup/scratch_list.h"

#include <gtest/gtest.h>

#include "backup/testing/memory_fixture.h"
#include "core/error.h"

namespace backstay::backup {
namespace {

class ScratchListTest : public testing::MemoryFixture {
 protected:
  std::string next(ScratchList& list) {
    const auto record = list.next();
    return record ? std::string(core::as_text(*record)) : "the end";
  }
};

TEST_F(ScratchListTest, LittleNeedsNoFile) {
  ScratchList list(environment_, "/scratch");
  list.rewind();
  EXPECT_FALSE(list.next());
  list.add(core::as_bytes("one"));
  list.add({});
  list.rewind();
  EXPECT_EQ(next(list), "one");
  EXPECT_EQ(next(list), "");
  EXPECT_EQ(next(list), "the end");
  EXPECT_EQ(next(list), "the end");
  EXPECT_FALSE(files_.stat("/scratch"));
}

TEST_F(ScratchListTest, MuchComesBackInOrderAndLeavesNoName) {
  constexpr std::size_t kRecords = 50'000;
  ScratchList list(environment_, "/state/scratch");
  for (std::size_t i = 0; i < kRecords; ++i) list.add(core::as_bytes(std::to_string(i * i) + " of some"));
  EXPECT_EQ(files_.stat("/state/scratch")->mode, 0711U);
  EXPECT_TRUE(files_.list("/state/scratch").empty());
  for (int time = 0; time < 2; ++time) {
    list.rewind();
    for (std::size_t i = 0; i < kRecords; ++i) ASSERT_EQ(next(list), std::to_string(i * i) + " of some");
    EXPECT_EQ(next(list), "the end");
  }
}

TEST_F(ScratchListTest, AFullDiskIsSaid) {
  files_.set_capacity(1000);
  ScratchList list(environment_, "/scratch");
  const auto fill = [&] {
    for (int i = 0; i < 1000; ++i) list.add(random_.bytes(1000));
  };
  try {
    fill();
    FAIL() << "no error";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::Code::kDiskFull);
  }
}

TEST_F(ScratchListTest, EntriesComeBackAsTheyWere) {
  repository::FileEntry file;
  file.path = "base/5/1259";
  file.mode = 0600;
  file.modified = core::Timestamp(core::Duration(-5));
  file.size = 30;
  repository::ObjectId pack{};
  pack[0] = std::byte{7};
  file.extents = {{.file_offset = 0, .length = 10, .position = {.pack = pack, .group = 3, .offset = 9}},
                  {.file_offset = 10, .length = 20, .position = {.pack = {}, .group = 0, .offset = 1}}};
  file.chunks = {{.extents = 2, .content = repository::ContentId{std::byte{4}}}};
  EntryList list(environment_, "/scratch");
  list.add(file);
  list.rewind();
  const auto again = list.next();
  ASSERT_TRUE(again);
  EXPECT_EQ(again->path, file.path);
  EXPECT_EQ(again->modified, file.modified);
  EXPECT_EQ(again->size, file.size);
  EXPECT_EQ(again->extents, file.extents);
  EXPECT_EQ(again->chunks, file.chunks);
  EXPECT_FALSE(list.next());
}

TEST_F(ScratchListTest, WhatAWalkFoundComesBack) {
  const auto directory = std::make_shared<const os::UntrustedDirectory>("/tmp");
  postgres::ClusterEntry file;
  file.path = "base/5/1259.1";
  file.size = 8192;
  file.mode = 0640;
  file.first_block = 131072;
  file.directory = directory;
  postgres::ClusterEntry link;
  link.path = "pg_tblspc/16400";
  link.type = postgres::EntryType::kSymlink;
  link.link_target = "/elsewhere";
  link.directory = std::make_shared<const os::UntrustedDirectory>("/");
  link.name_begin = 16;
  WalkList list(environment_, "/scratch");
  list.add(file);
  list.add(link);
  list.rewind();
  const auto first = list.next();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->path, file.path);
  EXPECT_EQ(first->type, postgres::EntryType::kFile);
  EXPECT_EQ(first->size, 8192U);
  EXPECT_EQ(first->mode, 0640U);
  EXPECT_EQ(first->first_block, 131072U);
  EXPECT_EQ(first->directory, directory);
  const auto second = list.next();
  ASSERT_TRUE(second);
  EXPECT_EQ(second->type, postgres::EntryType::kSymlink);
  EXPECT_EQ(second->link_target, "/elsewhere");
  EXPECT_FALSE(second->first_block);
  EXPECT_EQ(second->directory, link.directory);
  EXPECT_EQ(second->name_begin, 16U);
  EXPECT_FALSE(list.next());
}

}  // namespace
}  // namespace backstay::backup
