#include "repository/pack_reader.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"
#include "repository/second_reading.h"

namespace backstay::repository {
namespace {

std::size_t weight(const PackCache::Pack& pack) {
  return pack.content.size() + pack.layout.groups.size() * sizeof(Group) + 1024;
}

core::Error missing(const std::string& key) {
  return {core::Code::kStoreObjectMissing, fmt::format("pack '{}' is not in the store", key)};
}

}  // namespace

PackCache::PackCache(Repository& repository, PackCacheOptions options)
    : repository_(repository),
      options_(std::move(options)),
      windows_(repository, options_.scattered, options_.capacity / 2,
               [this](std::uint64_t bytes) { count_request(bytes); }) {}

std::shared_ptr<const PackCache::Pack> PackCache::get(const ObjectId& pack) {
  std::size_t expected = 0;
  {
    const core::LockGuard lock(mutex_);
    for (;;) {
      const auto slot = slots_.find(pack);
      if (slot == slots_.end()) break;
      if (slot->second.pack) {
        ages_.splice(ages_.begin(), ages_, slot->second.age);
        return slot->second.pack;
      }
      changed_.wait(mutex_);
    }
    slots_.emplace(pack, Slot{});
    // What is on its way needs its room too, about as much as another did.
    expected = largest_;
    held_ += expected;
    evict();
  }
  std::shared_ptr<const Pack> loaded;
  try {
    loaded = detail::read_again_if_damaged([&] { return load(pack); });
  } catch (...) {
    const core::LockGuard lock(mutex_);
    slots_.erase(pack);  // Whoever waits tries for himself.
    held_ -= expected;
    changed_.notify_all();
    throw;
  }
  const core::LockGuard lock(mutex_);
  ages_.push_front(pack);
  Slot& slot = slots_.at(pack);
  slot.pack = loaded;
  slot.age = ages_.begin();
  largest_ = std::max(largest_, weight(*loaded));
  held_ += weight(*loaded);
  held_ -= expected;
  evict();
  changed_.notify_all();
  return loaded;
}

void PackCache::evict() {
  for (auto age = ages_.end(); held_ > options_.capacity - windows_.capacity() && age != ages_.begin();) {
    // The one used last stays, and so do the group tables of what will be wanted again and again.
    --age;
    if (age == ages_.begin() || windows_.has(*age)) continue;
    const auto slot = slots_.find(*age);
    held_ -= weight(*slot->second.pack);
    slots_.erase(slot);
    age = ages_.erase(age);
  }
}

std::shared_ptr<const PackCache::Pack> PackCache::load(const ObjectId& id) {
  const ObjectName name{Kind::kPack, pack_key(id)};
  ContainerReader reader(repository_.data_key());
  auto pack = std::make_shared<Pack>();
  if (options_.access == PackAccess::kWhole && !windows_.has(id)) {
    auto tail = repository_.store().get_tail(name.key, options_.whole_pack_limit);
    if (!tail) throw missing(name.key);
    count_request(tail->content.size());
    if (tail->content.size() == tail->object_size) {
      pack->content = std::move(tail->content);
      pack->layout = reader.read_layout(name, pack->content);
      return pack;
    }
  }
  auto layout = reader.fetch_layout(repository_.store(), name);
  if (!layout) throw missing(name.key);
  count_request(layout->object_size - layout->groups_end());
  pack->layout = std::move(*layout);
  return pack;
}

void PackCache::count_request(std::uint64_t bytes) {
  const core::LockGuard lock(mutex_);
  ++requests_;
  bytes_received_ += bytes;
}

std::uint64_t PackCache::requests() const {
  const core::LockGuard lock(mutex_);
  return requests_;
}

std::uint64_t PackCache::bytes_received() const {
  const core::LockGuard lock(mutex_);
  return bytes_received_;
}

}  // namespace backstay::repository
