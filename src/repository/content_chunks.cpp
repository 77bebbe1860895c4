#include "repository/content_chunks.h"

#include <algorithm>

#include "codec/hash.h"

namespace backstay::repository {
namespace {

constexpr std::string_view kGearInfo = "backstay chunk cuts v1";
constexpr std::string_view kIdentityInfo = "backstay chunk identity v1";
constexpr std::size_t kIdentityKeySize = 32;

/// How many of the highest bits of the rolling hash must be zero for a cut: before the usual size a cut is rarer than
/// one in that many bytes, behind it more frequent, so that most chunks are about that long.
constexpr unsigned kBitsBefore = 19;
constexpr unsigned kBitsBehind = 15;

bool is_cut(std::uint64_t hash, unsigned bits) { return hash >> (64 - bits) == 0; }

}  // namespace

ContentChunker::ContentChunker(const DataKey& key)
    : identity_key_(codec::hkdf_sha256(key.bytes(), {}, core::as_bytes(kIdentityInfo), kIdentityKeySize)) {
  const core::Bytes table =
      codec::hkdf_sha256(key.bytes(), {}, core::as_bytes(kGearInfo), gear_.size() * sizeof(std::uint64_t));
  for (std::size_t i = 0; i < gear_.size(); ++i) {
    gear_[i] = core::load_le<std::uint64_t>(table, i * sizeof(std::uint64_t));
  }
}

std::size_t ContentChunker::cut(core::ByteSpan bytes) const {
  const std::size_t end = std::min(bytes.size(), kLargestChunk);
  const std::size_t usual = std::min(end, kUsualChunk);
  std::uint64_t hash = 0;
  std::size_t at = std::min(end, kSmallestChunk);
  const auto roll = [&](std::size_t until, unsigned bits) {
    while (at < until) {
      hash = (hash << 1) + gear_[std::to_integer<std::size_t>(bytes[at++])];
      if (is_cut(hash, bits)) return true;
    }
    return false;
  };
  if (!roll(usual, kBitsBefore)) roll(end, kBitsBehind);
  return at;
}

ContentId ContentChunker::identify(core::ByteSpan chunk) const {
  const codec::Digest digest = codec::hmac_sha256(identity_key_, chunk);
  ContentId id{};
  std::copy_n(digest.begin(), id.size(), id.begin());
  return id;
}

KnownChunks::KnownChunks(Repository& repository, const BackupRecord& backup) {
  ManifestReader manifest(repository, backup);
  while (const auto entry = manifest.next()) take_in(*entry);
  numbers_.clear();
  std::ranges::sort(known_, {}, &Known::content);
}

void KnownChunks::take_in(const FileEntry& entry) {
  auto extent = entry.extents.begin();
  for (const Chunk& chunk : entry.chunks) {
    // One that lies in two packs is rare, and stored once more.
    if (chunk.extents == 1 && extent->length <= kLargestChunk) {
      known_.push_back({.content = chunk.content,
                        .length = static_cast<std::uint32_t>(extent->length),
                        .pack = pack_number(extent->position.pack),
                        .group = extent->position.group,
                        .offset = extent->position.offset});
    }
    extent += chunk.extents;
  }
}

std::uint32_t KnownChunks::pack_number(const ObjectId& pack) {
  const auto [at, added] = numbers_.try_emplace(pack, static_cast<std::uint32_t>(packs_.size()));
  if (added) packs_.push_back(pack);
  return at->second;
}

std::optional<Position> KnownChunks::find(const ContentId& content, std::uint64_t length) const {
  const auto at = std::ranges::lower_bound(known_, content, {}, &Known::content);
  if (at == known_.end() || at->content != content || at->length != length) return std::nullopt;
  return Position{.pack = packs_[at->pack], .group = at->group, .offset = at->offset};
}

}  // namespace backstay::repository
