// Private to repository: what is asked of objects, whether one backup is verified or all of a repository.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "core/error.h"
#include "repository/container_reader.h"
#include "repository/json_fields.h"
#include "repository/manifest.h"
#include "repository/second_reading.h"
#include "repository/verify.h"

namespace backstay::repository::detail {

/// What verification is for; anything else (store away, cancelled) means that it could not be done.
inline bool is_finding(const core::Error& error) {
  using enum core::Code;
  return is_damaged(error) || error.code() == kStoreObjectMissing || error.code() == kWalGap ||
         error.code() == kStoreConflict;
}

/// Every group is looked at, one after the other, even after a bad one: so the report is complete.
inline std::vector<VerifyProblem> check_groups(ContainerReader& reader, const Layout& layout, core::ByteSpan object,
                                               VerifyLevel level) {
  std::vector<VerifyProblem> problems;
  core::Bytes raw;
  for (std::uint32_t number = 0; number < layout.groups.size(); ++number) {
    const Group& group = layout.groups[number];
    const core::ByteSpan stored = object.subspan(group.offset, group.stored_size);
    try {
      if (level == VerifyLevel::kAuthenticate) {
        reader.authenticate_group(layout, number, stored);
        continue;
      }
      raw.resize(group.raw_size);
      reader.decode_group(layout, number, stored, raw);
    } catch (const core::Error& error) {
      if (!is_finding(error)) throw;
      problems.push_back({layout.name.key, error.message(), "files whose bytes lie in this group cannot be restored"});
    }
  }
  return problems;
}

/// How large the groups of packs are, as far as the packs were looked at. One thread at a time.
class GroupSizes {
 public:
  void note(const ObjectId& pack, const Layout& layout) {
    std::vector<std::uint32_t> sizes;
    for (const Group& group : layout.groups) sizes.push_back(group.raw_size);
    of_pack_[pack] = std::move(sizes);
  }
  /// Whether the extent's bytes are there. True for a pack that was not noted: it was not looked at, or is a problem
  /// already.
  [[nodiscard]] bool cover(const Extent& extent) const {
    const auto sizes = of_pack_.find(extent.position.pack);
    if (sizes == of_pack_.end()) return true;
    std::uint64_t left = extent.position.offset + extent.length;
    for (std::size_t group = extent.position.group; group < sizes->second.size(); ++group) {
      if (left <= sizes->second[group]) return true;
      left -= sizes->second[group];
    }
    return false;
  }

 private:
  std::map<ObjectId, std::vector<std::uint32_t>> of_pack_;
};

/// Reading a manifest looks at its end and its groups only; this reads its header. Throws corrupt_data.
inline void check_manifest_header(Repository& repository, const ObjectName& name, const ManifestReader& manifest) {
  read_again_if_damaged([&] {
    const auto header = repository.store().get_range(name.key, 0, kHeaderSize);
    if (header && decode_header(name, *header) == manifest.id()) return;
    throw core::Error(core::Code::kCorruptData, "the manifest's header was changed");
  });
}

}  // namespace backstay::repository::detail
