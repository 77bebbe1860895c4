// What is kept as long as somebody asks for it now and then.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "core/time.h"

namespace backstay::providers {

/// Forgets what nobody has asked for during `keep`, when something new comes. Not thread-safe.
template <typename Value>
class RecentlyUsed {
 public:
  explicit RecentlyUsed(core::Duration keep) : keep_(keep) {}

  /// Null if it is not known (any more). Valid until the next put.
  Value* find(const std::string& key, core::SteadyTime now) {
    const auto found = kept_.find(key);
    if (found == kept_.end()) return nullptr;
    found->second.used_at = now;
    return &found->second.value;
  }
  Value& put(const std::string& key, Value value, core::SteadyTime now) {
    std::erase_if(kept_, [&](const auto& entry) { return now - entry.second.used_at > keep_; });
    auto& entry = kept_[key];
    entry = {std::move(value), now};
    return entry.value;
  }
  [[nodiscard]] std::size_t size() const { return kept_.size(); }

 private:
  struct Kept {
    Value value;
    core::SteadyTime used_at;
  };
  core::Duration keep_;
  std::map<std::string, Kept> kept_;
};

}  // namespace backstay::providers
