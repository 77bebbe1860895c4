// Reading files back out of packs, with few requests.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>

#include "core/mutex.h"
#include "repository/container_reader.h"
#include "repository/pack_windows.h"
#include "repository/pack_writer.h"
#include "repository/repository.h"

namespace backstay::repository {

enum class PackAccess {
  kWhole,   // most of each pack is wanted, as in a restore: one request a pack
  kRanges,  // some files only: the footer once a pack, then ranged requests that cover neighbouring groups
};

struct PackCacheOptions {
  PackAccess access = PackAccess::kWhole;
  /// With kWhole: how many bytes of packs are held; one pack always fits.
  std::size_t capacity = 128 * 1024 * 1024;
  /// Packs larger than this are read in ranges even with kWhole.
  std::size_t whole_pack_limit = 32 * 1024 * 1024;
  /// With kWhole: packs that are wanted a little at a time, over a long time. Up to half of the capacity is for them.
  std::set<ObjectId> scattered = {};
};

/// Packs and their group tables, shared by the readers of one restore; safe for any thread. A pack that several threads
/// want is fetched once; the others wait for it.
class PackCache {
 public:
  /// `repository` must outlive it.
  explicit PackCache(Repository& repository, PackCacheOptions options = {});

  /// A pack as far as it is held. Shared: a reader may still use one that the cache has let go.
  struct Pack {
    Layout layout;
    /// The whole object, or empty if only the layout was read.
    core::Bytes content;
  };
  /// Throws store_object_missing if it is not in the store, corrupt_data if it is damaged.
  std::shared_ptr<const Pack> get(const ObjectId& pack);
  [[nodiscard]] Repository& repository() const { return repository_; }
  /// Requests sent and bytes received so far.
  [[nodiscard]] std::uint64_t requests() const;
  [[nodiscard]] std::uint64_t bytes_received() const;
  void count_request(std::uint64_t bytes);
  [[nodiscard]] PackWindows& windows() { return windows_; }

 private:
  struct Slot {
    std::shared_ptr<const Pack> pack;  // null while it is being fetched
    std::list<ObjectId>::iterator age;
  };
  std::shared_ptr<const Pack> load(const ObjectId& pack);
  void evict() REQUIRES(mutex_);

  Repository& repository_;
  const PackCacheOptions options_;
  PackWindows windows_;
  mutable core::Mutex mutex_;
  core::Condition changed_;
  std::map<ObjectId, Slot> slots_ GUARDED_BY(mutex_);
  std::list<ObjectId> ages_ GUARDED_BY(mutex_);  // most recently used first
  std::size_t held_ GUARDED_BY(mutex_) = 0;
  std::size_t largest_ GUARDED_BY(mutex_) = 0;
  std::uint64_t requests_ GUARDED_BY(mutex_) = 0;
  std::uint64_t bytes_received_ GUARDED_BY(mutex_) = 0;
};

/// One thread at a time; keeps the groups decoded last, since small files share them.
class PackReader {
 public:
  /// `cache` must outlive it.
  explicit PackReader(PackCache& cache);

  /// Fills `out` with `out.size()` bytes of the extent from `offset` in it on. Throws corrupt_data,
  /// store_object_missing.
  void read(const Extent& extent, std::uint64_t offset, core::MutableByteSpan out);
  /// Fills `out` with the bytes of a file from `file_offset` on, zeros where no extent lies.
  void read_file(std::span<const Extent> extents, std::uint64_t file_offset, core::MutableByteSpan out);

 private:
  struct Decoded {
    ObjectId pack{};
    std::uint32_t group = 0;
    std::uint64_t used = 0;
    core::Bytes bytes;
  };
  void use(const ObjectId& id);
  /// Copies bytes of a group of the pack in use; `wanted` raw bytes from its beginning on are wanted soon.
  void copy_group(std::uint32_t number, std::uint64_t within, core::MutableByteSpan out, std::uint64_t wanted);
  /// The group, read once more if it does not authenticate.
  void decode(std::uint32_t number, std::uint64_t wanted, core::MutableByteSpan raw);
  core::ByteSpan stored(std::uint32_t number, std::uint64_t wanted);
  void fetch_run(std::uint32_t number, std::uint64_t wanted);

  PackCache& cache_;
  ContainerReader container_;
  std::shared_ptr<const PackCache::Pack> pack_;
  ObjectId pack_id_{};
  std::array<Decoded, 4> decoded_;
  std::uint64_t tick_ = 0;
  /// The run of groups that was read last with kRanges.
  core::Bytes run_;
  std::uint64_t run_offset_ = 0;
  ObjectId run_pack_{};
  /// Keeps what a group of a scattered pack is decoded from.
  std::shared_ptr<const PackWindows::Window> window_;
};

}  // namespace backstay::repository
