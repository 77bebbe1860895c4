#include "repository/manifest.h"

#include <gtest/gtest.h>

#include <set>

#include "repository/entry_codec.h"
#include "repository/testing/fixture.h"
#include "repository/varint.h"

namespace backstay::repository {
namespace {

using testing::kBackup;
using testing::kInstance;

class ManifestTest : public testing::RepositoryFixture {
 protected:
  FileEntry random_entry(std::string path) {
    FileEntry entry;
    entry.path = std::move(path);
    entry.type = static_cast<EntryType>(1 + below(3));
    entry.mode = static_cast<std::uint32_t>(below(07777));
    entry.modified = core::Timestamp(core::Duration(static_cast<std::int64_t>(below(1ULL << 50)) - (1LL << 49)));
    if (entry.type == EntryType::kSymlink) entry.link_target = "../elsewhere";
    if (entry.type != EntryType::kFile) return entry;
    for (std::size_t i = below(4); i > 0; --i) {
      entry.size += below(1000);
      const Extent extent{.file_offset = entry.size,
                          .length = 1 + below(1 << 30),
                          .position = {packs_[below(packs_.size())], static_cast<std::uint32_t>(below(1000)),
                                       static_cast<std::uint32_t>(below(kGroupSize))}};
      entry.size += extent.length;
      entry.extents.push_back(extent);
    }
    return entry;
  }
  std::vector<FileEntry> random_entries(std::size_t count) {
    std::set<std::string, decltype(&path_less)> paths(&path_less);
    while (paths.size() < count) {
      paths.insert(fmt::format("base/{}/{}", below(50), below(10 * count)));
    }
    std::vector<FileEntry> entries;
    for (const std::string& path : paths) entries.push_back(random_entry(path));
    return entries;
  }
  ManifestWriter::Result write(const std::vector<FileEntry>& entries) {
    ManifestWriter writer(*repository_, kInstance, kBackup, {});
    for (const FileEntry& entry : entries) writer.add(entry);
    return writer.finish();
  }
  static void expect_same(const FileEntry& a, const FileEntry& b) {
    EXPECT_EQ(a.path, b.path);
    EXPECT_EQ(a.type, b.type);
    EXPECT_EQ(a.mode, b.mode);
    EXPECT_EQ(a.modified, b.modified);
    EXPECT_EQ(a.size, b.size);
    EXPECT_EQ(a.link_target, b.link_target);
    EXPECT_EQ(a.extents, b.extents);
  }
  std::vector<ObjectId> packs_{new_object_id(random_), new_object_id(random_), new_object_id(random_)};
};

TEST_F(ManifestTest, StreamsManyEntriesBothWays) {
  const std::vector<FileEntry> entries = random_entries(20'000);
  const auto result = write(entries);
  EXPECT_EQ(result.entries, entries.size());
  ManifestReader reader(*repository_, manifest_name(kInstance, kBackup, {}));
  EXPECT_EQ(reader.id(), result.id);
  EXPECT_EQ(reader.entry_count(), entries.size());
  EXPECT_EQ(reader.data_size(), result.data_size);
  EXPECT_EQ(reader.stored_size(), memory_->head(manifest_name(kInstance, kBackup, {}).key)->size);
  EXPECT_EQ(reader.packs().size(), 3U);
  for (int pass = 0; pass < 2; ++pass) {
    for (const FileEntry& entry : entries) {
      const auto read = reader.next();
      ASSERT_TRUE(read);
      expect_same(*read, entry);
    }
    EXPECT_FALSE(reader.next());
    reader.rewind();
  }
}

TEST_F(ManifestTest, AnEmptyOneIsFine) {
  write({});
  ManifestReader reader(*repository_, manifest_name(kInstance, kBackup, {}));
  EXPECT_FALSE(reader.next());
  EXPECT_TRUE(reader.packs().empty());
}

TEST_F(ManifestTest, OrderIsByComponents) {
  EXPECT_TRUE(path_less("a", "a/b"));
  EXPECT_TRUE(path_less("a/b", "a-b"));
  EXPECT_TRUE(path_less("a-b", "a.b"));
  EXPECT_FALSE(path_less("a/b", "a"));
  EXPECT_FALSE(path_less("a", "a"));
  EXPECT_TRUE(path_less("z", "\xc3\xa4"));
}

TEST_F(ManifestTest, RefusesWhatBreaksTheRules) {
  const auto refused = [&](const std::function<void(FileEntry&)>& change) {
    ManifestWriter writer(*repository_, kInstance, kBackup, {});
    FileEntry entry;
    entry.path = "b";
    writer.add(entry);
    entry.path = "c";
    change(entry);
    EXPECT_EQ(code_of([&] { writer.add(entry); }), core::Code::kInvalidArgument) << entry.path;
  };
  for (const char* const path : {"", "/etc/passwd", "b", "a", "c//d", "c/../d", "..", "c/.", "c/"}) {
    refused([&](FileEntry& entry) { entry.path = path; });
  }
  refused([&](FileEntry& entry) { entry.extents = {{0, 10, {}}}; });
  refused([&](FileEntry& entry) { entry.size = 10, entry.extents = {{0, 0, {}}}; });
  refused([&](FileEntry& entry) { entry.size = 20, entry.extents = {{5, 10, {}}, {0, 2, {}}}; });
  refused([&](FileEntry& entry) { entry.size = 20, entry.extents = {{5, UINT64_MAX, {}}}; });
  refused([&](FileEntry& entry) { entry.type = EntryType::kDirectory, entry.size = 1; });
}

/// A group of a manifest as somebody with the key may make it.
core::Bytes forged(const std::vector<FileEntry>& entries) {
  core::Bytes group;
  for (const FileEntry& entry : entries) {
    detail::put_number(group, 0);
    detail::put_text(group, entry.path);
    group.push_back(static_cast<std::byte>(entry.type));
    for (const std::uint64_t number : {std::uint64_t{entry.mode}, std::uint64_t{0}, std::uint64_t{0}}) {
      detail::put_number(group, number);
    }
    if (entry.type != EntryType::kFile) continue;
    detail::put_number(group, entry.size);
    detail::put_number(group, entry.extents.size());
    std::uint64_t end = 0;
    for (const Extent& extent : entry.extents) {
      for (const auto number :
           {extent.file_offset - end, extent.length, std::uint64_t{0}, std::uint64_t{0}, std::uint64_t{0}}) {
        detail::put_number(group, number);
      }
      end = extent.file_offset + extent.length;
    }
  }
  return group;
}

TEST_F(ManifestTest, ReadingRefusesWhatWritingRefuses) {
  const auto read_all = [&](const std::vector<std::vector<FileEntry>>& groups) {
    ContainerWriter container(repository_->data_key(), random_);
    container.begin(manifest_name(kInstance, kBackup, {}));
    for (const auto& group : groups) container.add_group(forged(group));
    core::Bytes meta;
    for (const std::uint64_t number : {2U, 0U, 1U}) detail::put_number(meta, number);
    core::append(meta, packs_[0]);
    container.finish(meta);
    memory_->put(manifest_name(kInstance, kBackup, {}).key, container.buffer());
    ManifestReader reader(*repository_, manifest_name(kInstance, kBackup, {}));
    while (reader.next()) {
    }
  };
  const auto refused = [&](const FileEntry& entry) {
    EXPECT_EQ(code_of([&] { read_all({{{.path = "b"}, entry}}); }), core::Code::kCorruptData) << entry.path;
    EXPECT_EQ(code_of([&] { read_all({{{.path = "b"}}, {entry}}); }), core::Code::kCorruptData) << entry.path;
  };
  read_all({{{.path = "b"}, {.path = "c", .mode = 0600, .size = 20, .extents = {{0, 10, {}}, {10, 10, {}}}}}});
  read_all({{{.path = "b"}}, {{.path = "c"}}});
  for (const char* const path : {"", "/etc/passwd", "b", "a", "c//d", "c/../d", "..", "../c", "c/.", "c/"}) {
    refused({.path = path});
    refused({.path = path, .type = EntryType::kDirectory});
  }
  refused({.path = std::string("c\0d", 3)});
  refused({.path = "c", .mode = 0100644});
  refused({.path = "c", .extents = {{0, 10, {}}}});
  refused({.path = "c", .size = 10, .extents = {{0, 0, {}}}});
  refused({.path = "c", .size = 20, .extents = {{5, UINT64_MAX, {}}}});
  refused({.path = "c", .size = 20, .extents = {{5, 10, {}}, {0, 2, {}}}});
}

TEST_F(ManifestTest, ReadingRefusesNumbersThatDoNotFit) {
  const auto decode = [&](std::uint64_t mode, std::uint64_t group, std::uint64_t offset, std::uint64_t chunk_extents) {
    core::Bytes chunks;
    detail::put_number(chunks, chunk_extents);
    core::append(chunks, core::Bytes(16));
    core::Bytes attributes;
    detail::put_number(attributes, detail::kChunksAttribute);
    detail::put_text(attributes, core::as_text(chunks));
    core::Bytes bytes;
    detail::put_number(bytes, 0);
    detail::put_text(bytes, "c");
    bytes.push_back(static_cast<std::byte>(EntryType::kFile));
    detail::put_number(bytes, mode);
    detail::put_number(bytes, 0);
    detail::put_text(bytes, core::as_text(attributes));
    for (const std::uint64_t number :
         {std::uint64_t{10}, std::uint64_t{1}, std::uint64_t{0}, std::uint64_t{10}, std::uint64_t{0}, group, offset}) {
      detail::put_number(bytes, number);
    }
    std::size_t at = 0;
    return decode_entry(bytes, at, packs_, "");
  };
  constexpr std::uint64_t kTooLarge = 1ULL << 32;
  EXPECT_EQ(decode(0600, kTooLarge - 1, 9, 1).extents.at(0).position.group, UINT32_MAX);
  EXPECT_EQ(code_of([&] { (void)decode(kTooLarge + 0600, 7, 9, 1); }), core::Code::kCorruptData);
  EXPECT_EQ(code_of([&] { (void)decode(0600, kTooLarge + 7, 9, 1); }), core::Code::kCorruptData);
  EXPECT_EQ(code_of([&] { (void)decode(0600, 7, kTooLarge + 9, 1); }), core::Code::kCorruptData);
  EXPECT_EQ(code_of([&] { (void)decode(0600, 7, 9, kTooLarge + 1); }), core::Code::kCorruptData);
}

TEST_F(ManifestTest, NothingIsVisibleBeforeFinishNorAfterAFailure) {
  {
    ManifestWriter writer(*repository_, kInstance, kBackup, {});
    writer.add(random_entry("a"));
  }
  EXPECT_FALSE(memory_->head(manifest_name(kInstance, kBackup, {}).key));
  store_->fail_call(1);
  EXPECT_THROW(write(random_entries(10)), core::Error);
  EXPECT_FALSE(memory_->head(manifest_name(kInstance, kBackup, {}).key));
  EXPECT_EQ(code_of([&] { ManifestReader(*repository_, manifest_name(kInstance, kBackup, {})); }),
            core::Code::kStoreObjectMissing);
}

TEST_F(ManifestTest, ALargeOneIsSentInParts) {
  std::vector<FileEntry> entries;
  for (int i = 0; i < 30; ++i) {
    FileEntry entry;
    entry.path = fmt::format("link{:02}", i);
    entry.type = EntryType::kSymlink;
    entry.link_target = core::to_hex(random_.bytes(500'000));
    entries.push_back(entry);
  }
  const auto result = write(entries);
  EXPECT_GT(result.stored_size, 9U * 1024 * 1024);
  ManifestReader reader(*repository_, manifest_name(kInstance, kBackup, {}));
  for (const FileEntry& entry : entries) EXPECT_EQ(reader.next()->link_target, entry.link_target);
}

TEST_F(ManifestTest, DamageIsSeen) {
  write(random_entries(100));
  const std::string key = manifest_name(kInstance, kBackup, {}).key;
  memory_->corrupt(key, kHeaderSize + 5);
  EXPECT_EQ(code_of([&] { ManifestReader(*repository_, manifest_name(kInstance, kBackup, {})).next(); }),
            core::Code::kCorruptData);
}

}  // namespace
}  // namespace backstay::repository
