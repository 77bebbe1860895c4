// Cutting content where the content itself says, so that what stayed the same is recognised wherever it lies now.
//
// Cut points and identities depend on the repository's data key: who sees a store without the key learns nothing from
// them. docs/format/repository.md §5 has both.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "repository/manifest.h"

namespace backstay::repository {

inline constexpr std::size_t kSmallestChunk = 32 * 1024;
inline constexpr std::size_t kUsualChunk = 128 * 1024;
inline constexpr std::size_t kLargestChunk = 512 * 1024;

/// Immutable; safe for any thread.
class ContentChunker {
 public:
  explicit ContentChunker(const DataKey& key);

  /// How long the chunk is that begins with `bytes`: all of them if they end before it does. Give at least
  /// kLargestChunk bytes, or all that are left.
  [[nodiscard]] std::size_t cut(core::ByteSpan bytes) const;
  [[nodiscard]] ContentId identify(core::ByteSpan chunk) const;

 private:
  std::array<std::uint64_t, 256> gear_{};
  core::Bytes identity_key_;
};

/// The chunks of a stored backup, and where they lie: 32 bytes of memory each.
class KnownChunks {
 public:
  /// Knows nothing.
  KnownChunks() = default;
  /// Reads the whole manifest.
  KnownChunks(Repository& repository, const BackupRecord& backup);

  /// Where a chunk of this content and length lies, if there is one.
  [[nodiscard]] std::optional<Position> find(const ContentId& content, std::uint64_t length) const;
  [[nodiscard]] std::size_t size() const { return known_.size(); }

 private:
  struct Known {
    ContentId content{};
    std::uint32_t length = 0;
    std::uint32_t pack = 0;
    std::uint32_t group = 0;
    std::uint32_t offset = 0;
  };
  void take_in(const FileEntry& entry);
  std::uint32_t pack_number(const ObjectId& pack);

  std::vector<Known> known_;  // by content
  std::vector<ObjectId> packs_;
  std::map<ObjectId, std::uint32_t> numbers_;
};

}  // namespace backstay::repository
