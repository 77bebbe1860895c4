// Reading packs of which little is wanted at a time, over a long time.
//
// A backup that was taken upon many others has pages in the packs of all of them, and a restore in the order of files
// comes back to each pack again and again. Fetched whole, they would push each other out; fetched by the group, they
// would cost a request for each. So each is cut into windows of a few groups, and the windows used last are held.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "core/mutex.h"
#include "repository/container_format.h"
#include "repository/repository.h"

namespace backstay::repository {

/// Safe for any thread.
class PackWindows {
 public:
  /// Of these packs; holds about `capacity` bytes, or less if they are few. `fetched` hears the size of each answer.
  /// Both references must outlive it.
  PackWindows(Repository& repository, std::set<ObjectId> packs, std::size_t capacity,
              std::function<void(std::uint64_t)> fetched);

  [[nodiscard]] bool has(const ObjectId& pack) const { return packs_.contains(pack); }
  [[nodiscard]] std::size_t capacity() const { return capacity_; }
  /// Sealed groups of a pack, one behind the other. Shared: a reader may still use one that was let go.
  struct Window {
    std::uint64_t offset = 0;
    core::Bytes bytes = {};
  };
  /// The window that holds the group. Fetched once, however many threads want it. Throws store_object_missing and
  /// corrupt_data.
  std::shared_ptr<const Window> get(const ObjectId& pack, const Layout& layout, std::uint32_t group);

 private:
  using Key = std::pair<ObjectId, std::uint64_t>;
  struct Slot {
    std::shared_ptr<const Window> window;  // null while it is being fetched
    std::list<Key>::iterator age;
  };
  [[nodiscard]] std::shared_ptr<const Window> fetch(const Layout& layout, std::uint32_t group) const;
  [[nodiscard]] std::uint64_t number_of(const Group& group) const { return group.offset / size_; }
  void evict() REQUIRES(mutex_);

  Repository& repository_;
  const std::set<ObjectId> packs_;
  const std::size_t capacity_;
  const std::uint64_t size_;
  const std::function<void(std::uint64_t)> fetched_;
  core::Mutex mutex_;
  core::Condition changed_;
  std::map<Key, Slot> slots_ GUARDED_BY(mutex_);
  std::list<Key> ages_ GUARDED_BY(mutex_);  // most recently used first
  std::size_t held_ GUARDED_BY(mutex_) = 0;
};

}  // namespace backstay::repository
