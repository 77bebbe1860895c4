#include "repository/entry_rules.h"

#include <fmt/format.h>

namespace backstay::repository::detail {
namespace {

constexpr std::uint32_t kModeBits = 07777;

bool is_plain_path(std::string_view path) {
  if (path.empty() || path.find('\0') != std::string_view::npos) return false;
  while (true) {
    const auto slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

bool extents_fit(const FileEntry& entry) {
  std::uint64_t end = 0;
  for (const Extent& extent : entry.extents) {
    if (extent.length == 0 || extent.file_offset < end || extent.file_offset > entry.size ||
        extent.length > entry.size - extent.file_offset) {
      return false;
    }
    end = extent.file_offset + extent.length;
  }
  return true;
}

bool chunks_fit(const FileEntry& entry) {
  if (entry.chunks.empty()) return true;
  std::uint64_t extents = 0;
  for (const Chunk& chunk : entry.chunks) {
    if (chunk.extents == 0) return false;
    extents += chunk.extents;
  }
  return extents == entry.extents.size();
}

}  // namespace

std::optional<std::string> broken_rule(const FileEntry& entry, const std::string& previous) {
  if (!is_plain_path(entry.path)) return "the path is not a plain relative one";
  if (!previous.empty() && !path_less(previous, entry.path)) return fmt::format("it comes after '{}'", previous);
  if ((entry.mode & ~kModeBits) != 0) return fmt::format("'{:o}' is not a mode", entry.mode);
  if (entry.type != EntryType::kFile && (entry.size != 0 || !entry.extents.empty())) return "only files have content";
  if (!extents_fit(entry)) return "its extents are out of order or reach behind its end";
  if (!chunks_fit(entry)) return "its chunks are not its extents";
  return std::nullopt;
}

}  // namespace backstay::repository::detail
