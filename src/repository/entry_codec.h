// One entry of a manifest as bytes (docs/format/repository.md §6).
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "repository/manifest.h"

namespace backstay::repository {

/// Appends the entry. Its path shares its beginning with `previous`.
void encode_entry(core::Bytes& to, const FileEntry& entry, std::string_view previous, PackTable& packs);

/// The entry at `at`, which is behind it afterwards. Throws corrupt_data for one that is cut, has a number that
/// does not fit or names a pack that `packs` lacks, unsupported_format for one of an unknown type; no other rule is
/// looked at.
FileEntry decode_entry(core::ByteSpan bytes, std::size_t& at, const std::vector<ObjectId>& packs,
                       std::string_view previous);

}  // namespace backstay::repository
