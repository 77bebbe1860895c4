#include <gtest/gtest.h>

#include <thread>

#include "repository/pack_reader.h"
#include "repository/pack_writer.h"
#include "repository/testing/fixture.h"

namespace backstay::repository {
namespace {

struct File {
  core::Bytes content;
  std::vector<Extent> extents;
};

class PackTest : public testing::RepositoryFixture {
 protected:
  void store(std::vector<File>& files, PackOptions options = {}) {
    PackUploader uploader(*repository_, options);
    PackWriter writer(uploader);
    for (File& file : files) add(writer, file);
    writer.finish();
    uploader.finish();
    packs_ = uploader.packs_stored();
  }
  /// In pieces, as a reader of a large file would.
  void add(PackWriter& writer, File& file) {
    for (std::size_t at = 0; at < file.content.size();) {
      const std::size_t take = std::min(file.content.size() - at, 1 + below(700'000));
      writer.add(at, core::ByteSpan(file.content).subspan(at, take), file.extents);
      at += take;
    }
  }
  static core::Bytes load(PackReader& reader, const File& file) {
    core::Bytes out(file.content.size(), std::byte{0xee});
    reader.read_file(file.extents, 0, out);
    return out;
  }
  std::vector<File> random_files(std::size_t count, std::size_t limit) {
    std::vector<File> files(count);
    for (File& file : files) file.content = content(below(limit));
    return files;
  }
  std::uint64_t packs_ = 0;
};

TEST_F(PackTest, FilesOfAllSizesRoundTrip) {
  std::vector<File> files = random_files(60, 20'000);
  for (File& file : random_files(6, 2'000'000)) files.push_back(std::move(file));
  files.push_back({core::Bytes(), {}});
  store(files, {.target_size = 1024 * 1024});
  EXPECT_GE(packs_, 2U);
  for (const PackAccess access : {PackAccess::kWhole, PackAccess::kRanges}) {
    PackCache cache(*repository_, {.access = access});
    PackReader reader(cache);
    for (const File& file : files) EXPECT_EQ(load(reader, file), file.content);
  }
}

TEST_F(PackTest, WhatIsChangedOnItsWayIsReadOnceMore) {
  std::vector<File> files = random_files(3, 2'000'000);
  store(files, {.target_size = 1024 * 1024});
  for (const PackAccess access : {PackAccess::kWhole, PackAccess::kRanges}) {
    store_->spoil_first_reads();
    PackCache cache(*repository_, {.access = access});
    PackReader reader(cache);
    for (const File& file : files) EXPECT_EQ(load(reader, file), file.content);
  }
}

TEST_F(PackTest, AnyPieceCanBeReadAlone) {
  std::vector<File> files = random_files(3, 3'000'000);
  store(files, {.target_size = 1024 * 1024});
  PackCache cache(*repository_, {.access = PackAccess::kRanges});
  PackReader reader(cache);
  for (int i = 0; i < 100; ++i) {
    const File& file = files[below(files.size())];
    if (file.content.empty()) continue;
    const std::size_t from = below(file.content.size());
    core::Bytes out(below(file.content.size() - from + 1));
    reader.read_file(file.extents, from, out);
    EXPECT_TRUE(std::ranges::equal(out, core::ByteSpan(file.content).subspan(from, out.size())));
  }
}

TEST_F(PackTest, ASmallClusterIsOnePackAndOneRequest) {
  std::vector<File> files = random_files(1000, 3000);
  store(files);
  EXPECT_EQ(packs_, 1U);
  PackCache cache(*repository_);
  PackReader reader(cache);
  const std::uint64_t before = store_->calls();
  for (const File& file : files) ASSERT_EQ(load(reader, file), file.content);
  EXPECT_EQ(store_->calls() - before, 1U);
  EXPECT_EQ(cache.requests(), 1U);
}

TEST_F(PackTest, ALongFileIsOneExtentAPack) {
  std::vector<File> files(1);
  files[0].content = content(3 * 1024 * 1024);
  store(files);
  EXPECT_EQ(files[0].extents.size(), 1U);
  EXPECT_EQ(files[0].extents[0].length, files[0].content.size());
}

TEST_F(PackTest, GapsBetweenExtentsAreZeros) {
  std::vector<File> files(1);
  PackUploader uploader(*repository_);
  PackWriter writer(uploader);
  writer.add(100, core::as_bytes("abc"), files[0].extents);
  writer.add(200, core::as_bytes("def"), files[0].extents);
  writer.finish();
  uploader.finish();
  PackCache cache(*repository_);
  PackReader reader(cache);
  core::Bytes out(300, std::byte{0xee});
  reader.read_file(files[0].extents, 0, out);
  core::Bytes expected(300);
  std::ranges::copy(core::as_bytes("abc"), expected.begin() + 100);
  std::ranges::copy(core::as_bytes("def"), expected.begin() + 200);
  EXPECT_EQ(out, expected);
}

TEST_F(PackTest, WritersAndReadersOfManyThreadsAgree) {
  constexpr std::size_t kThreads = 4;
  std::vector<std::vector<File>> files;
  for (std::size_t i = 0; i < kThreads; ++i) files.push_back(random_files(20, 200'000));
  {
    PackUploader uploader(*repository_, {.target_size = 300'000, .queued_packs = 1});
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < kThreads; ++i) {
      threads.emplace_back([&, i] {
        PackWriter writer(uploader);
        for (File& file : files[i]) writer.add(0, file.content, file.extents);
        writer.finish();
      });
    }
    threads.clear();
    uploader.finish();
  }
  PackCache cache(*repository_, {.capacity = 1'000'000});
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      PackReader reader(cache);
      for (const File& file : files[i]) EXPECT_EQ(load(reader, file), file.content);
    });
  }
}

TEST_F(PackTest, AFailedUploadReachesWritersAndFinish) {
  for (std::uint64_t n = 1; n <= 3; ++n) {
    std::vector<File> files(1);
    files[0].content = content(6'000'000);
    PackUploader uploader(*repository_, {.target_size = 500'000, .upload_threads = 1, .queued_packs = 1});
    PackWriter writer(uploader);
    store_->fail_call(n);
    EXPECT_EQ(code_of([&] {
                add(writer, files[0]);
                writer.finish();
                uploader.finish();
              }),
              core::Code::kStoreUnreachable);
  }
}

TEST_F(PackTest, AnAbandonedBackupEndsWithoutWaiting) {
  std::vector<File> files(1);
  files[0].content = content(2'000'000);
  PackUploader uploader(*repository_, {.target_size = 300'000});
  PackWriter writer(uploader);
  add(writer, files[0]);
}

TEST_F(PackTest, MissingAndDamagedPacksAreNamed) {
  std::vector<File> files(1);
  files[0].content = content(600'000);
  store(files);
  const std::string key = pack_key(files[0].extents[0].position.pack);
  memory_->corrupt(key, 1000);
  for (const PackAccess access : {PackAccess::kWhole, PackAccess::kRanges}) {
    PackCache cache(*repository_, {.access = access});
    PackReader reader(cache);
    EXPECT_EQ(code_of([&] { load(reader, files[0]); }), core::Code::kCorruptData);
  }
  memory_->remove(std::vector<std::string>{key});
  for (const PackAccess access : {PackAccess::kWhole, PackAccess::kRanges}) {
    PackCache cache(*repository_, {.access = access});
    PackReader reader(cache);
    EXPECT_EQ(code_of([&] { load(reader, files[0]); }), core::Code::kStoreObjectMissing);
  }
}

TEST_F(PackTest, AnExtentBehindThePacksEndIsDamage) {
  std::vector<File> files(1);
  files[0].content = content(1000);
  store(files);
  files[0].extents[0].length = 5000;
  files[0].content.resize(5000);
  PackCache cache(*repository_);
  PackReader reader(cache);
  EXPECT_EQ(code_of([&] { load(reader, files[0]); }), core::Code::kCorruptData);
}

}  // namespace
}  // namespace backstay::repository
