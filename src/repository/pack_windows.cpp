#include "repository/pack_windows.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"

namespace backstay::repository {
namespace {

constexpr std::uint64_t kSmallestWindow = 128 * 1024;
constexpr std::uint64_t kLargestWindow = 2 * 1024 * 1024;
/// Readers are at a few places of the files, and so of each pack, at once.
constexpr std::size_t kWindowsOfAPack = 3;

}  // namespace

PackWindows::PackWindows(Repository& repository, std::set<ObjectId> packs, std::size_t capacity,
                         std::function<void(std::uint64_t)> fetched)
    : repository_(repository),
      packs_(std::move(packs)),
      capacity_(std::min(capacity, packs_.size() * kWindowsOfAPack * kLargestWindow)),
      size_(std::clamp<std::uint64_t>(capacity_ / (kWindowsOfAPack * std::max<std::size_t>(packs_.size(), 1)),
                                      kSmallestWindow, kLargestWindow)),
      fetched_(std::move(fetched)) {}

std::shared_ptr<const PackWindows::Window> PackWindows::get(const ObjectId& pack, const Layout& layout,
                                                            std::uint32_t group) {
  const Key key{pack, number_of(layout.groups.at(group))};
  {
    const core::LockGuard lock(mutex_);
    for (;;) {
      const auto slot = slots_.find(key);
      if (slot == slots_.end()) break;
      if (slot->second.window) {
        ages_.splice(ages_.begin(), ages_, slot->second.age);
        return slot->second.window;
      }
      changed_.wait(mutex_);
    }
    slots_.emplace(key, Slot{});
  }
  std::shared_ptr<const Window> window;
  try {
    window = fetch(layout, group);
  } catch (...) {
    const core::LockGuard lock(mutex_);
    slots_.erase(key);  // Whoever waits tries for himself.
    changed_.notify_all();
    throw;
  }
  fetched_(window->bytes.size());
  const core::LockGuard lock(mutex_);
  ages_.push_front(key);
  Slot& slot = slots_.at(key);
  slot.window = window;
  slot.age = ages_.begin();
  held_ += window->bytes.size();
  evict();
  changed_.notify_all();
  return window;
}

std::shared_ptr<const PackWindows::Window> PackWindows::fetch(const Layout& layout, std::uint32_t group) const {
  const std::uint64_t number = number_of(layout.groups.at(group));
  std::size_t first = group;
  while (first > 0 && number_of(layout.groups[first - 1]) == number) --first;
  std::size_t last = group;
  while (last + 1 < layout.groups.size() && number_of(layout.groups[last + 1]) == number) ++last;
  const std::uint64_t begin = layout.groups[first].offset;
  const std::uint64_t end = layout.groups[last].offset + layout.groups[last].stored_size;
  auto bytes = repository_.store().get_range(layout.name.key, begin, end - begin);
  if (!bytes) {
    throw core::Error(core::Code::kStoreObjectMissing, fmt::format("pack '{}' is not in the store", layout.name.key));
  }
  if (bytes->size() != end - begin) {
    throw core::Error(core::Code::kCorruptData, fmt::format("pack '{}' is shorter than it was", layout.name.key));
  }
  auto window = std::make_shared<Window>();
  window->offset = begin;
  window->bytes = std::move(*bytes);
  return window;
}

void PackWindows::evict() {
  while (held_ > capacity_ && ages_.size() > 1) {
    const auto slot = slots_.find(ages_.back());
    held_ -= slot->second.window->bytes.size();
    slots_.erase(slot);
    ages_.pop_back();
  }
}

}  // namespace backstay::repository
