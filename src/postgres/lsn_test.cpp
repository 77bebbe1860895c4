#include "postgres/lsn.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "postgres/timeline_history.h"

namespace backstay::postgres {
namespace {

TEST(LsnTest, RoundTripsThroughText) {
  for (const auto* text : {"0/0", "0/1", "16/B374D848", "FFFFFFFF/FFFFFFFF"}) {
    EXPECT_EQ(format_lsn(parse_lsn(text)), text);
  }
  EXPECT_EQ(parse_lsn("1/0").value, 1ull << 32);
}

TEST(LsnTest, RefusesWhatIsNoPosition) {
  for (const auto* text : {"", "/", "1", "1/", "/1", "1/G", "100000000/0", "1/2/3", "-1/0"}) {
    EXPECT_THROW(parse_lsn(text), core::Error) << text;
  }
}

TEST(LsnTest, NamesSegmentsOfEverySize) {
  EXPECT_EQ(segment_name({1}, 3, kDefaultSegmentSize), "000000010000000000000003");
  EXPECT_EQ(segment_name({0xA}, 256, kDefaultSegmentSize), "0000000A0000000100000000");
  EXPECT_EQ(segment_name({1}, 4, 1u << 30), "000000010000000100000000");
  EXPECT_EQ(segment_name({1}, 4095, 1u << 20), "000000010000000000000FFF");
}

TEST(LsnTest, ParsesSegmentNames) {
  for (const std::uint64_t size : {1ull << 20, 16ull << 20, 1ull << 30}) {
    for (const SegmentNumber number : {0ull, 1ull, 255ull, 256ull, 70'000ull}) {
      const auto parsed = parse_segment_name(segment_name({7}, number, size), size);
      ASSERT_TRUE(parsed);
      EXPECT_EQ(*parsed, (SegmentName{{7}, number}));
    }
  }
  for (const auto* name : {"", "00000001000000000000000", "00000001000000000000000g", "000000010000000000000100",
                           "00000001000000000000000a", "000000010000000000000001.partial"}) {
    EXPECT_FALSE(parse_segment_name(name, kDefaultSegmentSize)) << name;
  }
}

TEST(LsnTest, NamesHistories) {
  EXPECT_EQ(history_name({0x1F}), "0000001F.history");
  EXPECT_EQ(parse_history_name("0000001F.history"), (TimelineId{0x1F}));
  EXPECT_FALSE(parse_history_name("0000001F.histor"));
  EXPECT_FALSE(parse_history_name("0000001f.history"));
}

TEST(TimelineHistoryTest, ReadsAncestors) {
  const auto history = parse_timeline_history(
      "1\t0/3000060\tno recovery target specified\n\n# a comment\n2\t0/5000000\tbefore LSN 0/5000000\n");
  ASSERT_EQ(history.size(), 2u);
  EXPECT_EQ(history[1].timeline, (TimelineId{2}));
  EXPECT_EQ(history[1].end, parse_lsn("0/5000000"));
  EXPECT_EQ(history[1].reason, "before LSN 0/5000000");
  EXPECT_EQ(timeline_at(history, {3}, parse_lsn("0/300005F")), (TimelineId{1}));
  EXPECT_EQ(timeline_at(history, {3}, parse_lsn("0/3000060")), (TimelineId{2}));
  EXPECT_EQ(timeline_at(history, {3}, parse_lsn("0/5000000")), (TimelineId{3}));
}

TEST(TimelineHistoryTest, RefusesBrokenLines) {
  for (const auto* text : {"x\t0/1\tr", "1", "1\tnowhere\tr", "0\t0/1\tr"}) {
    EXPECT_THROW(parse_timeline_history(text), core::Error) << text;
  }
}

}  // namespace
}  // namespace backstay::postgres
