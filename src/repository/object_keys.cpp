#include "repository/object_keys.h"

#include <array>
#include <utility>

#include "core/random.h"
#include "core/text.h"
#include "repository/page_change_objects.h"
#include "repository/wal_names.h"

namespace backstay::repository::detail {
namespace {

constexpr std::size_t kIdLength = 36;
constexpr std::size_t kObjectIdLength = 32;
constexpr std::size_t kTimelineLength = 8;

bool skip(std::string_view& text, std::string_view beginning) {
  if (!text.starts_with(beginning)) return false;
  text.remove_prefix(beginning.size());
  return true;
}

/// An id and the "/" behind it.
std::optional<std::string> take_id(std::string_view& text) {
  if (text.size() <= kIdLength || text[kIdLength] != '/') return std::nullopt;
  std::string id(text.substr(0, kIdLength));
  if (!core::is_uuid(id)) return std::nullopt;
  text.remove_prefix(kIdLength + 1);
  return id;
}

std::optional<ObjectId> parse_id(std::string_view text) {
  if (text.size() != kObjectIdLength || text.find_first_not_of("0123456789abcdef") != std::string_view::npos) return {};
  return parse_object_id(text);
}

std::optional<ObjectKey> parse_pack(std::string_view rest) {
  if (rest.size() != kObjectIdLength + 3 || rest[2] != '/' || rest.substr(0, 2) != rest.substr(3, 2))
    return std::nullopt;
  rest.remove_prefix(3);
  const auto id = parse_id(rest);
  return id ? std::optional(ObjectKey{.kind = Kind::kPack, .pack = *id}) : std::nullopt;
}

std::optional<ObjectKey> parse_backup_object(std::string_view name, ObjectKey found) {
  constexpr std::array<std::pair<std::string_view, Kind>, 4> kNames{{{"record", Kind::kBackupRecord},
                                                                     {"manifest", Kind::kManifest},
                                                                     {"condemned", Kind::kCondemned},
                                                                     {"writing", Kind::kWriterMark}}};
  const auto dot = name.find('.');
  if (dot != std::string_view::npos) found.attempt = parse_id(name.substr(dot + 1));
  for (const auto& [known, kind] : kNames) {
    found.kind = kind;
    if (name.substr(0, dot) == known && found.attempt) return found;
    if (name == known && kind == Kind::kCondemned) return found;
  }
  return std::nullopt;
}

/// Below "wal/<timeline>/". The name of a segment has the same length for every size of segments.
std::optional<Kind> kind_of_wal_object(std::string_view name) {
  constexpr std::uint64_t kSmallestSegment = 1 << 20;
  if (name == "window-end") return Kind::kWindowEnd;
  if (skip(name, "index/")) return Kind::kWalIndex;
  const auto parsed = parse_wal_name(name, kSmallestSegment);
  if (parsed) return parsed->tail ? Kind::kWalTail : Kind::kWalSegment;
  // Offsets of larger segments.
  return name.size() > 25 && name.find(".tail.") != std::string_view::npos ? std::optional(Kind::kWalTail)
                                                                           : std::nullopt;
}

std::optional<ObjectKey> parse_changes(std::string_view rest, ObjectKey found) {
  const auto name = parse_page_changes_name(rest);
  if (!name) return std::nullopt;
  found.kind = Kind::kPageChanges;
  found.timeline = name->timeline;
  return found;
}

std::optional<ObjectKey> parse_wal(std::string_view rest, ObjectKey found) {
  const auto timeline = parse_timeline(rest.substr(0, kTimelineLength));
  if (!timeline) return std::nullopt;
  found.timeline = *timeline;
  rest.remove_prefix(kTimelineLength);
  if (rest == ".history") {
    found.kind = Kind::kHistory;
    return found;
  }
  if (!skip(rest, "/")) return std::nullopt;
  const auto kind = kind_of_wal_object(rest);
  if (!kind) return std::nullopt;
  found.kind = *kind;
  return found;
}

}  // namespace

std::optional<ObjectKey> parse_object_key(std::string_view key) {
  if (skip(key, "packs/")) return parse_pack(key);
  if (skip(key, "condemned/")) return core::is_uuid(key) ? std::optional(ObjectKey{Kind::kCondemned}) : std::nullopt;
  if (!skip(key, "instances/")) return std::nullopt;
  const auto instance = take_id(key);
  if (!instance) return std::nullopt;
  ObjectKey found{.kind = Kind::kInstanceRecord, .instance = *instance};
  if (key == "instance") return found;
  if (skip(key, "wal/")) return parse_wal(key, std::move(found));
  if (skip(key, "changes/")) return parse_changes(key, std::move(found));
  if (!skip(key, "backups/")) return std::nullopt;
  const auto backup = take_id(key);
  if (!backup) return std::nullopt;
  found.backup = *backup;
  return parse_backup_object(key, std::move(found));
}

}  // namespace backstay::repository::detail
