#include "postgres/lsn.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/text.h"

namespace backstay::postgres {
namespace {

constexpr std::string_view kHistorySuffix = ".history";

bool is_upper_hex(std::string_view text) {
  return text.find_first_not_of("0123456789ABCDEF") == std::string_view::npos;
}

std::uint32_t hex32(std::string_view text) { return static_cast<std::uint32_t>(*core::parse_hex(text)); }

}  // namespace

std::string format_lsn(Lsn lsn) { return fmt::format("{:X}/{:X}", lsn.value >> 32, lsn.value & 0xFFFFFFFFu); }

Lsn parse_lsn(std::string_view text) {
  const auto slash = text.find('/');
  if (slash != std::string_view::npos) {
    const auto high = core::parse_hex(text.substr(0, slash));
    const auto low = core::parse_hex(text.substr(slash + 1));
    if (high && low && *high <= UINT32_MAX && *low <= UINT32_MAX) return {*high << 32 | *low};
  }
  throw core::Error(core::Code::kInvalidArgument, fmt::format("'{}' is not a WAL position", text));
}

std::string timeline_text(TimelineId timeline) { return fmt::format("{:08X}", timeline.value); }

std::string segment_name(TimelineId timeline, SegmentNumber segment, std::uint64_t segment_size) {
  const std::uint64_t segments_per_id = (std::uint64_t{1} << 32) / segment_size;
  return fmt::format("{:08X}{:08X}{:08X}", timeline.value, segment / segments_per_id, segment % segments_per_id);
}

std::optional<SegmentName> parse_segment_name(std::string_view name, std::uint64_t segment_size) {
  if (name.size() != 24 || !is_upper_hex(name)) return std::nullopt;
  const std::uint64_t segments_per_id = (std::uint64_t{1} << 32) / segment_size;
  const std::uint64_t low = hex32(name.substr(16));
  if (low >= segments_per_id) return std::nullopt;
  return SegmentName{{hex32(name.substr(0, 8))}, hex32(name.substr(8, 8)) * segments_per_id + low};
}

std::string history_name(TimelineId timeline) { return timeline_text(timeline) + std::string(kHistorySuffix); }

std::optional<TimelineId> parse_history_name(std::string_view name) {
  if (name.size() != 8 + kHistorySuffix.size() || !name.ends_with(kHistorySuffix)) return std::nullopt;
  if (!is_upper_hex(name.substr(0, 8))) return std::nullopt;
  return TimelineId{hex32(name.substr(0, 8))};
}

}  // namespace backstay::postgres
