#include "core/time.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace backstay::core {
namespace {

TEST(TimeTest, RoundTripsThroughText) {
  for (const auto* text : {"2026-04-10T12:00:00Z", "1999-12-31T23:59:59.000001Z", "2024-02-29T00:00:00.5Z"}) {
    EXPECT_EQ(format_time(parse_time(text)), text);
  }
}

TEST(TimeTest, ReadsOffsets) {
  EXPECT_EQ(parse_time("2026-04-10T14:30:00+02:30"), parse_time("2026-04-10T12:00:00Z"));
  EXPECT_EQ(parse_time("2026-04-10T06:00:00-06:00"), parse_time("2026-04-10T12:00:00Z"));
}

TEST(TimeTest, KeepsMicrosecondsOfLongerFractions) {
  EXPECT_EQ(format_time(parse_time("2026-04-10T12:00:00.123456789Z")), "2026-04-10T12:00:00.123456Z");
}

TEST(TimeTest, RefusesWhatIsNoTime) {
  for (const auto* text : {"", "yesterday", "2026-04-10", "2026-04-10T12:00:00", "2026-02-30T12:00:00Z",
                           "2026-04-10T25:00:00Z", "2026-04-10T12:00:00Z ", "2026-04-10T12:00:00.Z"}) {
    EXPECT_THROW(parse_time(text), Error) << text;
  }
}

TEST(TimeTest, FormatsDurationsForPeople) {
  using std::chrono::milliseconds;
  EXPECT_EQ(format_duration(milliseconds(850)), "850ms");
  EXPECT_EQ(format_duration(milliseconds(12'300)), "12.3s");
  EXPECT_EQ(format_duration(std::chrono::seconds(245)), "4m05s");
  EXPECT_EQ(format_duration(std::chrono::minutes(192)), "3h12m");
}

}  // namespace
}  // namespace backstay::core
