// Private to repository: what an object is, told from its key alone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "repository/container_format.h"

namespace backstay::repository::detail {

struct ObjectKey {
  Kind kind = Kind::kPack;
  /// Of an object below "instances/", and of one below "backups/" there.
  std::string instance = {};
  std::string backup = {};
  /// Of what one attempt at a backup has written; nothing for the mark of a whole backup.
  std::optional<ObjectId> attempt = {};
  /// Of WAL, roll-ups, histories and window ends.
  std::uint32_t timeline = 0;
  /// Of a pack.
  ObjectId pack{};
};

/// Nothing for a key that is none of ours. Names of WAL are looked at as far as they tell the kind: what segment it is
/// depends on the segment's size (parse_wal_name).
std::optional<ObjectKey> parse_object_key(std::string_view key);

}  // namespace backstay::repository::detail
