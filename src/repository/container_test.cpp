#include <gtest/gtest.h>

#include "repository/container_reader.h"
#include "repository/container_writer.h"
#include "repository/testing/fixture.h"

namespace backstay::repository {
namespace {

class ContainerTest : public testing::RepositoryFixture {
 protected:
  /// Everything a reader does with an object in memory.
  core::Bytes read(const ObjectName& name, core::ByteSpan object) {
    ContainerReader reader(data_key_);
    return reader.read_all(reader.read_layout(name, object), object);
  }
  const DataKey data_key_{KeyBytes::generate(random_)};
  ContainerWriter writer_{data_key_, random_};
  const ObjectName name_{Kind::kPack, "some/name"};
};

TEST_F(ContainerTest, RoundTripsAnySizeWithEveryCompression) {
  for (const auto method : {codec::Compression::kNone, codec::Compression::kZstd, codec::Compression::kLz4}) {
    ContainerWriter writer(data_key_, random_, method);
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, kWholeGroupSize - 1, kWholeGroupSize,
                                   kWholeGroupSize + 1, below(3 * kWholeGroupSize), below(1000)}) {
      const core::Bytes bytes = content(size);
      const core::Bytes object = writer.encode(name_, bytes, core::as_bytes("meta"));
      EXPECT_EQ(read(name_, object), bytes) << size;
      ContainerReader reader(data_key_);
      const Layout layout = reader.read_layout(name_, object);
      EXPECT_EQ(core::as_text(layout.meta), "meta");
      EXPECT_EQ(layout.raw_size(), size);
    }
  }
}

TEST_F(ContainerTest, WhatDoesNotShrinkIsStoredAsItIs) {
  const core::Bytes bytes = random_.bytes(kGroupSize);
  const core::Bytes object = writer_.encode(name_, bytes);
  EXPECT_LT(object.size(), bytes.size() + 200);
  ContainerReader reader(data_key_);
  EXPECT_EQ(reader.read_layout(name_, object).groups.at(0).compression, codec::Compression::kNone);
  EXPECT_EQ(read(name_, object), bytes);
  EXPECT_LT(writer_.encode(name_, content(kGroupSize)).size(), kGroupSize * 3 / 4);
}

TEST_F(ContainerTest, EveryFlippedBitIsDetected) {
  const core::Bytes bytes = content(300);
  core::Bytes object = writer_.encode(name_, bytes, core::as_bytes("meta"));
  for (std::size_t bit = 0; bit < object.size() * 8; ++bit) {
    object[bit / 8] ^= std::byte{1} << (bit % 8);
    EXPECT_THROW(read(name_, object), core::Error) << "bit " << bit << " of byte " << bit / 8;
    object[bit / 8] ^= std::byte{1} << (bit % 8);
  }
  EXPECT_EQ(read(name_, object), bytes);
}

TEST_F(ContainerTest, EveryTruncationIsDetected) {
  const core::Bytes object = writer_.encode(name_, content(300));
  for (std::size_t size = 0; size < object.size(); ++size) {
    EXPECT_THROW(read(name_, core::ByteSpan(object).first(size)), core::Error) << size;
    EXPECT_THROW(read(name_, core::ByteSpan(object).last(size)), core::Error) << size;
  }
}

TEST_F(ContainerTest, AnotherNameKindKeyOrObjectDoesNotOpen) {
  const core::Bytes bytes = content(100);
  const core::Bytes object = writer_.encode(name_, bytes);
  EXPECT_EQ(code_of([&] { read({Kind::kPack, "another/name"}, object); }), core::Code::kCorruptData);
  EXPECT_EQ(code_of([&] { read({Kind::kManifest, name_.key}, object); }), core::Code::kCorruptData);
  const DataKey other(KeyBytes::generate(random_));
  ContainerReader reader(other);
  EXPECT_THROW(reader.read_layout(name_, object), core::Error);
  // The end of one object behind the beginning of another of the same name and shape.
  const core::Bytes second = writer_.encode(name_, bytes);
  ASSERT_EQ(second.size(), object.size());
  core::Bytes mixed(object.begin(), object.begin() + 100);
  core::append(mixed, core::ByteSpan(second).subspan(100));
  EXPECT_THROW(read(name_, mixed), core::Error);
}

TEST_F(ContainerTest, ANewerVersionIsSaidToBeOne) {
  core::Bytes object = writer_.encode(name_, {});
  object[8] = std::byte{2};
  EXPECT_EQ(code_of([&] { read(name_, object); }), core::Code::kUnsupportedFormat);
}

TEST_F(ContainerTest, TheLayoutTakesOneRequestAndGroupsCanBeReadAlone) {
  const core::Bytes bytes = content(5 * kWholeGroupSize + 77);
  memory_->put(name_.key, writer_.encode(name_, bytes, core::as_bytes("meta")));
  ContainerReader reader(data_key_);
  const std::uint64_t before = store_->calls();
  const auto layout = reader.fetch_layout(*store_, name_);
  EXPECT_EQ(store_->calls() - before, 1U);
  ASSERT_TRUE(layout);
  ASSERT_EQ(layout->groups.size(), 6U);
  const Group& group = layout->groups[3];
  const auto stored = memory_->get_range(name_.key, group.offset, group.stored_size);
  core::Bytes raw(group.raw_size);
  reader.decode_group(*layout, 3, *stored, raw);
  EXPECT_TRUE(std::ranges::equal(raw, core::ByteSpan(bytes).subspan(3 * kWholeGroupSize, kWholeGroupSize)));
  EXPECT_THROW(reader.decode_group(*layout, 2, *stored, raw), core::Error) << "a group in another one's place";
  EXPECT_FALSE(reader.fetch_layout(*store_, {Kind::kPack, "not/there"}));
}

TEST_F(ContainerTest, AFooterLongerThanTheFirstReadIsReadToo) {
  const core::Bytes meta = random_.bytes(100'000);
  memory_->put(name_.key, writer_.encode(name_, content(10), meta));
  ContainerReader reader(data_key_);
  EXPECT_EQ(reader.fetch_layout(*store_, name_)->meta, meta);
}

TEST_F(ContainerTest, TheSameContentIsNeverTheSameObject) {
  const core::Bytes bytes = content(100);
  EXPECT_NE(writer_.encode(name_, bytes), writer_.encode(name_, bytes));
}

}  // namespace
}  // namespace backstay::repository
