#include "postgres/page_effects.h"

#include <gtest/gtest.h>

namespace backstay::postgres {
namespace {

constexpr std::uint16_t kMagic13 = 0xD106;
constexpr std::uint16_t kMagic14 = 0xD10D;
constexpr std::uint16_t kMagic15 = 0xD110;
constexpr std::uint16_t kMagic16 = 0xD113;
constexpr std::uint16_t kMagic17 = 0xD116;
constexpr std::uint16_t kMagic18 = 0xD118;
constexpr RelationFork kTable{1663, 5, 16384, 0};

/// Puts a record together: headers, then the data that they speak of, then the main data.
class Record {
 public:
  Record(std::uint8_t manager, std::uint8_t info) : manager_(manager), info_(info) {}

  Record& small(std::uint8_t value) { return add(headers_, value); }
  Record& block(std::uint8_t id, std::uint8_t flags, std::uint16_t data) {
    data_ += data;
    return small(id).small(flags).add(headers_, data);
  }
  Record& image(std::uint16_t length, std::uint8_t info) {
    data_ += length;
    return add(headers_, length).add(headers_, std::uint16_t{100}).small(info);
  }
  Record& hole() { return add(headers_, std::uint16_t{900}); }
  Record& number(std::uint32_t block) { return add(headers_, block); }
  Record& relation(const RelationFork& of, std::uint32_t block) {
    return add(headers_, of.tablespace).add(headers_, of.database).add(headers_, of.relation).number(block);
  }
  Record& main(std::initializer_list<std::uint32_t> values) {
    for (const std::uint32_t value : values) add(main_, value);
    return *this;
  }

  [[nodiscard]] PageEffects effects(std::uint16_t magic, std::size_t cut = 0) const {
    core::Bytes bytes(24);
    core::append(bytes, headers_);
    if (!main_.empty()) {
      bytes.push_back(std::byte{254});
      core::append_le(bytes, static_cast<std::uint32_t>(main_.size()));
    }
    bytes.resize(bytes.size() + data_);
    core::append(bytes, main_);
    WalRecord record;
    record.start = {0x28};
    record.resource_manager = manager_;
    record.info = info_;
    record.page_magic = magic;
    record.length = static_cast<std::uint32_t>(bytes.size());
    bytes.resize(std::min(bytes.size() - cut, WalParser::kHeadSize));
    record.head = bytes;
    PageEffects effects;
    effects.unknown = "not cleared";
    read_page_effects(record, effects);
    return effects;
  }

 private:
  template <typename T>
  Record& add(core::Bytes& to, T value) {
    core::append_le(to, value);
    return *this;
  }
  std::uint8_t manager_;
  std::uint8_t info_;
  core::Bytes headers_;
  std::size_t data_ = 0;
  core::Bytes main_;
};

using Blocks = std::vector<BlockReference>;

TEST(PageEffectsTest, ReadsEachBlockWithWhatStandsBeforeIt) {
  Record record(10, 0x20);
  record.small(253).small(1).small(0);            // an origin
  record.small(252).number(77);                   // the transaction that it belongs to
  record.block(0, 0x20, 50).relation(kTable, 3);  // with data
  record.block(1, 0x80 | 0x40, 0).number(4);      // of the same relation
  record.block(5, 0x10 | 0x02, 0).image(8192, 0x02).relation({1664, 0, 1262, 2}, 9);  // an image, of another fork
  record.main({1, 2, 3});
  const auto effects = record.effects(kMagic15);
  EXPECT_EQ(effects.unknown, "");
  EXPECT_EQ(effects.blocks, (Blocks{{kTable, 3}, {kTable, 4}, {{1664, 0, 1262, 2}, 9}}));
}

/// The bit that said "compressed" up to 14 says "to be applied" since 15.
TEST(PageEffectsTest, ImagesAreReadAsTheirVersionWritesThem) {
  Record old(0, 0xB0);
  old.block(0, 0x10, 0).image(300, 0x01 | 0x02).hole().relation(kTable, 1);
  Record lz4(0, 0xB0);
  lz4.block(0, 0x10, 0).image(300, 0x01 | 0x02 | 0x08).hole().relation(kTable, 1);
  Record plain(0, 0xA0);
  plain.block(0, 0x10, 0).image(300, 0x01 | 0x02).relation(kTable, 1);
  for (const auto magic : {kMagic13, kMagic14}) EXPECT_EQ(old.effects(magic).blocks, (Blocks{{kTable, 1}}));
  for (const auto magic : {kMagic15, kMagic16, kMagic17, kMagic18}) {
    EXPECT_EQ(lz4.effects(magic).blocks, (Blocks{{kTable, 1}}));
    EXPECT_EQ(lz4.effects(magic).unknown, "");
    EXPECT_EQ(plain.effects(magic).unknown, "");
    EXPECT_NE(old.effects(magic).unknown, "") << "the hole's length is no relation";
  }
  EXPECT_NE(plain.effects(kMagic14).unknown, "");
}

TEST(PageEffectsTest, TheMostBlocksThatARecordCanHaveFit) {
  Record record(0, 0xB0);
  for (std::uint8_t id = 0; id <= 32; ++id) {
    record.block(id, 0x10 | 0x20, 8).image(8000, 0x01 | 0x04).hole().relation(kTable, id);
  }
  const auto effects = record.effects(kMagic18);
  EXPECT_EQ(effects.unknown, "");
  EXPECT_EQ(effects.blocks.size(), 33U);
}

TEST(PageEffectsTest, FilesOfRelationsAreMadeAndCutOff) {
  const auto made = Record(2, 0x10).main({1663, 5, 16384, 0}).effects(kMagic15);
  EXPECT_EQ(made.new_from, (Blocks{{kTable, 0}}));
  EXPECT_EQ(Record(2, 0x10).main({1663, 5, 16384, 3}).effects(kMagic15).new_from[0].of.fork, 3);
  EXPECT_EQ(Record(2, 0x20).main({12, 1663, 5, 16384, 7}).effects(kMagic15).new_from, (Blocks{{kTable, 12}}));
  const auto others = Record(2, 0x20).main({12, 1663, 5, 16384, 6}).effects(kMagic15);
  EXPECT_TRUE(others.new_from.empty()) << "only its maps are cut off";
  EXPECT_EQ(others.unknown, "");
  EXPECT_NE(Record(2, 0x30).main({1}).effects(kMagic15).unknown, "");
}

TEST(PageEffectsTest, DatabasesAndTablespacesComeAndGo) {
  using Databases = std::vector<std::pair<std::uint32_t, std::uint32_t>>;
  const auto by_copy = Record(4, 0x00).main({9, 1663, 1, 1663});
  const auto by_log = Record(4, 0x10).main({9, 1663});
  const auto drop = Record(4, 0x20).main({9, 2, 1663, 20000});
  const auto old_drop = Record(4, 0x10).main({9, 2, 1663, 20000});
  for (const auto magic : {kMagic15, kMagic18}) {
    EXPECT_EQ(by_copy.effects(magic).databases, (Databases{{1663, 9}}));
    EXPECT_EQ(by_log.effects(magic).databases, (Databases{{1663, 9}}));
    EXPECT_EQ(drop.effects(magic).databases, (Databases{{1663, 9}, {20000, 9}}));
  }
  EXPECT_EQ(by_copy.effects(kMagic14).databases, (Databases{{1663, 9}}));
  EXPECT_EQ(old_drop.effects(kMagic14).databases, (Databases{{1663, 9}, {20000, 9}}));
  EXPECT_NE(drop.effects(kMagic14).unknown, "");
  EXPECT_NE(Record(4, 0x20).main({9, 4, 1663}).effects(kMagic15).unknown, "");
  for (const std::uint8_t kind : {std::uint8_t{0x00}, std::uint8_t{0x10}}) {
    EXPECT_EQ(Record(5, kind).main({20000, 0}).effects(kMagic15).tablespaces, std::vector<std::uint32_t>{20000});
  }
  EXPECT_NE(Record(5, 0x20).main({20000}).effects(kMagic15).unknown, "");
}

TEST(PageEffectsTest, MinimalWalProvesNothing) {
  const auto parameters = [](std::uint32_t level) { return Record(0, 0x60).main({100, 8, 10, 0, 64, level, 0}); };
  EXPECT_NE(parameters(0).effects(kMagic15).unknown.find("wal_level=minimal"), std::string::npos);
  EXPECT_EQ(parameters(1).effects(kMagic15).unknown, "");
  EXPECT_EQ(Record(0, 0xE0).main({1}).effects(kMagic17).unknown, "");
  EXPECT_NE(Record(0, 0xE0).main({0}).effects(kMagic17).unknown.find("wal_level=minimal"), std::string::npos);
  EXPECT_NE(Record(0, 0xE0).main({1}).effects(kMagic16).unknown, "") << "there was no such record yet";
}

TEST(PageEffectsTest, WhatIsNotKnownIsSaid) {
  EXPECT_NE(Record(128, 0).main({1}).effects(kMagic15).unknown.find("resource manager 128"), std::string::npos);
  EXPECT_NE(Record(22, 0).main({1}).effects(kMagic18).unknown, "");
  EXPECT_NE(Record(0, 0xF0).main({1}).effects(kMagic18).unknown, "");
  EXPECT_NE(Record(7, 0x10).main({1}).effects(kMagic18).unknown, "");
  for (std::uint8_t manager = 0; manager < 22; ++manager) {
    const std::uint8_t kind = manager == 2 ? 0x10 : 0x00;
    EXPECT_EQ(Record(manager, kind).main({1, 2, 3, 1}).effects(kMagic18).unknown, "") << int{manager};
  }
}

TEST(PageEffectsTest, WhatIsNotWellFormedIsNotBelieved) {
  Record good(10, 0x00);
  good.block(0, 0x20, 50).relation(kTable, 3).main({1, 2});
  ASSERT_EQ(good.effects(kMagic15).unknown, "");
  for (std::size_t cut = 59; cut < 100; ++cut) {
    EXPECT_NE(good.effects(kMagic15, cut).unknown.find("cannot be read"), std::string::npos) << cut;
  }
  EXPECT_NE(Record(10, 0).block(0, 0x80, 0).number(3).effects(kMagic15).unknown, "") << "the same as which?";
  EXPECT_NE(Record(10, 0).block(33, 0, 0).relation(kTable, 3).effects(kMagic15).unknown, "");
  EXPECT_NE(Record(10, 0).block(0, 4, 0).relation(kTable, 3).effects(kMagic15).unknown, "") << "no such fork";
  EXPECT_NE(Record(10, 0).block(0, 0, 8).relation(kTable, 3).effects(kMagic15).unknown, "") << "data or none?";
  Record twice(10, 0);
  twice.block(1, 0, 0).relation(kTable, 3).block(1, 0, 0).relation(kTable, 4);
  EXPECT_NE(twice.effects(kMagic15).unknown, "");
}

}  // namespace
}  // namespace backstay::postgres
