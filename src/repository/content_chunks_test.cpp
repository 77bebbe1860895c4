#include "repository/content_chunks.h"

#include "repository/testing/fixture.h"
#include "repository/writer_mark.h"

namespace backstay::repository {
namespace {

using testing::kBackup;
using testing::kInstance;

class ContentChunksTest : public testing::RepositoryFixture {
 protected:
  [[nodiscard]] std::vector<core::Bytes> chunks_of(core::ByteSpan bytes) const {
    std::vector<core::Bytes> chunks;
    while (!bytes.empty()) {
      const std::size_t length = chunker_.cut(bytes);
      chunks.emplace_back(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length));
      bytes = bytes.subspan(length);
    }
    return chunks;
  }

  ContentChunker chunker_{repository_->data_key()};
};

TEST_F(ContentChunksTest, ChunksAreOfTheSizesPromised) {
  const auto chunks = chunks_of(content(16 << 20));
  for (std::size_t i = 0; i + 1 < chunks.size(); ++i) {
    EXPECT_GE(chunks[i].size(), kSmallestChunk);
    EXPECT_LE(chunks[i].size(), kLargestChunk);
  }
  EXPECT_GT(chunks.size(), (16U << 20) / kLargestChunk * 2);
  EXPECT_LT(chunks.size(), (16U << 20) / kSmallestChunk / 2);
}

TEST_F(ContentChunksTest, WhatFollowsAnInsertionIsCutAsBefore) {
  const core::Bytes before = content(8 << 20);
  core::Bytes after = before;
  after.insert(after.begin() + 1'000'000, 17, std::byte{'!'});
  const auto old_chunks = chunks_of(before);
  std::size_t same = 0;
  const auto new_chunks = chunks_of(after);
  for (const auto& chunk : new_chunks) {
    same += std::ranges::find(old_chunks, chunk) != old_chunks.end() ? 1U : 0U;
  }
  EXPECT_GE(same + 6, new_chunks.size());
}

TEST_F(ContentChunksTest, AnotherRepositoryCutsAndNamesOtherwise) {
  const ContentChunker other{DataKey(KeyBytes::generate(random_))};
  const core::Bytes bytes = content(1 << 20);
  EXPECT_NE(other.identify(bytes), chunker_.identify(bytes));
  EXPECT_EQ(chunker_.identify(bytes), ContentChunker(repository_->data_key()).identify(bytes));
  std::size_t differing = 0;
  for (std::size_t at = 0; at + kLargestChunk < bytes.size(); at += kUsualChunk) {
    differing += other.cut(core::ByteSpan(bytes).subspan(at)) != chunker_.cut(core::ByteSpan(bytes).subspan(at));
  }
  EXPECT_GT(differing, 0U);
}

TEST_F(ContentChunksTest, ChunksOfAStoredBackupAreFoundAgain) {
  const core::Bytes bytes = content(2 << 20);
  FileEntry file{.path = "1.dat", .size = bytes.size()};
  PackUploader uploader(*repository_);
  PackWriter writer(uploader);
  for (std::size_t at = 0; at < bytes.size();) {
    const auto chunk = core::ByteSpan(bytes).subspan(at).first(chunker_.cut(core::ByteSpan(bytes).subspan(at)));
    std::vector<Extent> extents;
    writer.add(at, chunk, extents);
    ASSERT_EQ(extents.size(), 1U);
    file.extents.push_back(extents.front());
    file.chunks.push_back({.extents = 1, .content = chunker_.identify(chunk)});
    at += chunk.size();
  }
  writer.finish();
  uploader.finish();
  ManifestWriter manifest(*repository_, kInstance, kBackup, {});
  manifest.add(file);
  const BackupRecord record{.backup = kBackup, .instance = kInstance, .manifest_id = manifest.finish().id};

  ManifestReader reader(*repository_, record);
  EXPECT_EQ(reader.next()->chunks, file.chunks);
  const KnownChunks known(*repository_, record);
  EXPECT_EQ(known.size(), file.chunks.size());
  for (std::size_t i = 0; i < file.chunks.size(); ++i) {
    EXPECT_EQ(known.find(file.chunks[i].content, file.extents[i].length), file.extents[i].position);
    EXPECT_FALSE(known.find(file.chunks[i].content, file.extents[i].length + 1));
  }
  EXPECT_FALSE(known.find(chunker_.identify(core::as_bytes("something else")), file.extents[0].length));
}

TEST_F(ContentChunksTest, ChunksThatAreNotTheExtentsAreRefused) {
  ManifestWriter manifest(*repository_, kInstance, kBackup, {});
  FileEntry file{.path = "1.dat", .chunks = {{.extents = 1}}};
  EXPECT_EQ(code_of([&] { manifest.add(file); }), core::Code::kInvalidArgument);
  file.chunks = {{.extents = 0}};
  EXPECT_EQ(code_of([&] { manifest.add(file); }), core::Code::kInvalidArgument);
}

}  // namespace
}  // namespace backstay::repository
