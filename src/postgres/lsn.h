// Positions in the write-ahead log, timelines, and the names PostgreSQL gives to segments.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace backstay::postgres {

/// A byte position in the WAL. Zero is "none": no record ever starts there.
struct Lsn {
  std::uint64_t value = 0;

  [[nodiscard]] bool valid() const { return value != 0; }
  auto operator<=>(const Lsn&) const = default;
  Lsn& operator+=(std::uint64_t bytes) {
    value += bytes;
    return *this;
  }
};
inline Lsn operator+(Lsn lsn, std::uint64_t bytes) { return {lsn.value + bytes}; }
inline std::uint64_t operator-(Lsn a, Lsn b) { return a.value - b.value; }

/// A branch of the database's history. Zero is "none".
struct TimelineId {
  std::uint32_t value = 0;

  auto operator<=>(const TimelineId&) const = default;
};

/// "16/B374D848", as PostgreSQL writes it.
std::string format_lsn(Lsn lsn);
/// Throws Error(invalid_argument) that quotes the text.
Lsn parse_lsn(std::string_view text);

/// Segments are counted from LSN 0; the size is a power of two from 1 MiB to 1 GiB, chosen at initdb.
using SegmentNumber = std::uint64_t;
inline constexpr std::uint64_t kDefaultSegmentSize = 16u << 20;
inline constexpr std::uint64_t kWalPageSize = 8192;

inline SegmentNumber segment_of(Lsn lsn, std::uint64_t segment_size) { return lsn.value / segment_size; }
inline Lsn segment_start(SegmentNumber segment, std::uint64_t segment_size) { return {segment * segment_size}; }
inline std::uint64_t segment_offset(Lsn lsn, std::uint64_t segment_size) { return lsn.value % segment_size; }

struct SegmentName {
  TimelineId timeline;
  SegmentNumber segment = 0;
  auto operator<=>(const SegmentName&) const = default;
};

/// "000000010000000000000003".
std::string segment_name(TimelineId timeline, SegmentNumber segment, std::uint64_t segment_size);
/// Nothing for a text that is not the name of a whole segment of this size.
std::optional<SegmentName> parse_segment_name(std::string_view name, std::uint64_t segment_size);

/// "00000002.history".
std::string history_name(TimelineId timeline);
/// Nothing for a text that is not the name of a history file.
std::optional<TimelineId> parse_history_name(std::string_view name);
/// "00000002": the first eight characters of a segment's name.
std::string timeline_text(TimelineId timeline);

}  // namespace backstay::postgres
