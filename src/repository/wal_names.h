// Private to repository: the names of WAL objects.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace backstay::repository::detail {

/// A roll-up speaks of so many segments.
constexpr std::uint64_t kRollUpSize = 256;

/// What a key below "wal/<timeline>/" says.
struct WalName {
  std::uint32_t timeline = 0;
  std::uint64_t segment = 0;
  std::uint64_t epoch = 0;
  bool tail = false;
  std::uint64_t from = 0;
  std::uint64_t to = 0;
};

/// "<segment>.<epoch>" or "<segment>.<epoch>.tail.<from>-<to>"; nothing for any other name.
std::optional<WalName> parse_wal_name(std::string_view name, std::uint64_t segment_size);
std::string wal_object_suffix(std::uint64_t epoch);
std::string wal_tail_suffix(std::uint64_t epoch, std::uint64_t from, std::uint64_t to);
/// Eight hexadecimal digits, as in the names of history files.
std::string timeline_text(std::uint32_t timeline);
std::optional<std::uint32_t> parse_timeline(std::string_view text);

}  // namespace backstay::repository::detail
