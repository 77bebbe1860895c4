// Private to repository: what every entry of a manifest keeps to, on writing and on reading.
#pragma once

#include <optional>
#include <string>

#include "repository/manifest.h"

namespace backstay::repository::detail {

/// What is wrong with the entry that comes after the one of path `previous`, "" for the first; nothing if it is right.
std::optional<std::string> broken_rule(const FileEntry& entry, const std::string& previous);

}  // namespace backstay::repository::detail
