#include "repository/wal_names.h"

#include <fmt/format.h>

#include "core/text.h"
#include "repository/wal_store.h"

namespace backstay::repository {

std::string segment_name(std::uint32_t timeline, std::uint64_t segment, std::uint64_t segment_size) {
  const std::uint64_t per_log = 0x1'0000'0000 / segment_size;
  return fmt::format("{:08X}{:08X}{:08X}", timeline, segment / per_log, segment % per_log);
}

namespace detail {
namespace {

constexpr std::size_t kNameLength = 24;
constexpr std::string_view kTail = ".tail.";

/// All of the text, as we write it: parse_hex would take more.
std::optional<std::uint64_t> hex(std::string_view text) {
  if (text.empty() || text.size() > 16) return std::nullopt;
  if (text.find_first_not_of("0123456789abcdefABCDEF") != std::string_view::npos) return std::nullopt;
  return core::parse_hex(text);
}

}  // namespace

std::string timeline_text(std::uint32_t timeline) { return fmt::format("{:08X}", timeline); }

std::optional<std::uint32_t> parse_timeline(std::string_view text) {
  const auto value = hex(text);
  if (!value || text.size() != 8 || *value == 0) return std::nullopt;
  return static_cast<std::uint32_t>(*value);
}

std::string wal_object_suffix(std::uint64_t epoch) { return fmt::format(".{:08x}", epoch); }

std::string wal_tail_suffix(std::uint64_t epoch, std::uint64_t from, std::uint64_t to) {
  return fmt::format("{}{}{:08x}-{:08x}", wal_object_suffix(epoch), kTail, from, to);
}

std::optional<WalName> parse_wal_name(std::string_view name, std::uint64_t segment_size) {
  if (name.size() < kNameLength + 2 || name[kNameLength] != '.') return std::nullopt;
  const auto timeline = parse_timeline(name.substr(0, 8));
  const auto log = hex(name.substr(8, 8));
  const auto within = hex(name.substr(16, 8));
  const std::uint64_t per_log = 0x1'0000'0000 / segment_size;
  if (!timeline || !log || !within || *within >= per_log) return std::nullopt;
  std::string_view rest = name.substr(kNameLength + 1);
  WalName result{
      .timeline = *timeline, .segment = *log * per_log + *within, .epoch = 0, .tail = false, .from = 0, .to = 0};
  if (const auto at = rest.find(kTail); at != std::string_view::npos) {
    const std::string_view range = rest.substr(at + kTail.size());
    const auto dash = range.find('-');
    if (dash == std::string_view::npos) return std::nullopt;
    const auto from = hex(range.substr(0, dash));
    const auto to = hex(range.substr(dash + 1));
    if (!from || !to || *from >= *to || *to > segment_size) return std::nullopt;
    result.tail = true;
    result.from = *from;
    result.to = *to;
    rest = rest.substr(0, at);
  }
  const auto epoch = hex(rest);
  if (!epoch) return std::nullopt;
  result.epoch = *epoch;
  return result;
}

}  // namespace detail
}  // namespace backstay::repository
