#include "simulation/bucket.h"

#include <algorithm>

namespace backstay::simulation {

void Bucket::put(const std::string& key, Content content, core::Timestamp now, core::Timestamp stamp) {
  past_[key].push_back({.since = now, .size = content->size(), .modified = stamp});
  objects_[key] = {.content = std::move(content), .modified = stamp};
}

void Bucket::remove(const std::string& key, core::Timestamp now) {
  if (objects_.erase(key) > 0) past_[key].push_back({.since = now});
}

const Bucket::Object* Bucket::find(const std::string& key) const {
  const auto at = objects_.find(key);
  return at == objects_.end() ? nullptr : &at->second;
}

std::vector<blob::ObjectInfo> Bucket::list(const std::string& prefix, const std::string& after, std::size_t most,
                                           core::Timestamp as_of) const {
  std::vector<blob::ObjectInfo> found;
  for (auto at = past_.lower_bound(std::max(prefix, after)); at != past_.end() && found.size() < most; ++at) {
    const auto& [key, past] = *at;
    if (!key.starts_with(prefix)) break;
    if (key <= after) continue;
    const auto state =
        std::ranges::find_if(past.rbegin(), past.rend(), [&](const Past& p) { return p.since <= as_of; });
    if (state == past.rend() || !state->size) continue;
    found.push_back({.key = key, .size = *state->size, .modified = state->modified});
  }
  return found;
}

}  // namespace backstay::simulation
