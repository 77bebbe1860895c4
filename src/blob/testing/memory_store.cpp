#include "blob/testing/memory_store.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"

namespace backstay::blob::testing {
namespace {

class MemoryUpload final : public Upload {
 public:
  MemoryUpload(MemoryStore& store, std::string key) : store_(store), key_(std::move(key)) {}
  void append(core::ByteSpan bytes) override { core::append(content_, bytes); }
  void finish() override { store_.put(key_, content_); }

 private:
  MemoryStore& store_;
  const std::string key_;
  core::Bytes content_;
};

core::Bytes slice(const core::Bytes& content, std::uint64_t offset, std::uint64_t length) {
  const std::uint64_t begin = std::min<std::uint64_t>(offset, content.size());
  const std::uint64_t count = std::min<std::uint64_t>(length, content.size() - begin);
  const core::ByteSpan part = core::ByteSpan(content).subspan(begin, count);
  return {part.begin(), part.end()};
}

}  // namespace

// Stricter than S3, as strict as a directory: a key cannot be an object and a directory at once.
void MemoryStore::refuse_if_directory(std::string_view key) {
  const auto refuse = [&](std::string_view other) {
    throw core::Error(core::Code::kInvalidArgument, fmt::format("'{}' is the directory of '{}'", key, other));
  };
  const std::string as_directory = std::string(key) + "/";
  const auto below = objects_.lower_bound(as_directory);
  if (below != objects_.end() && below->first.starts_with(as_directory)) refuse(below->first);
  for (auto slash = key.find('/'); slash != std::string_view::npos; slash = key.find('/', slash + 1)) {
    if (objects_.contains(key.substr(0, slash))) refuse(key.substr(0, slash));
  }
}

void MemoryStore::put(std::string_view key, core::ByteSpan content) {
  check_key(key);
  Object object{.content = core::Bytes(content.begin(), content.end()), .modified = now()};
  const core::LockGuard lock(mutex_);
  refuse_if_directory(key);
  objects_.insert_or_assign(std::string(key), std::move(object));
}

bool MemoryStore::put_if_absent(std::string_view key, core::ByteSpan content) {
  check_key(key);
  Object object{.content = core::Bytes(content.begin(), content.end()), .modified = now()};
  const core::LockGuard lock(mutex_);
  refuse_if_directory(key);
  return objects_.try_emplace(std::string(key), std::move(object)).second;
}

std::unique_ptr<Upload> MemoryStore::begin_upload(std::string_view key) {
  check_key(key);
  return std::make_unique<MemoryUpload>(*this, std::string(key));
}

std::optional<core::Bytes> MemoryStore::get(std::string_view key) {
  return get_range(key, 0, std::numeric_limits<std::uint64_t>::max());
}

std::optional<core::Bytes> MemoryStore::get_range(std::string_view key, std::uint64_t offset, std::uint64_t length) {
  check_key(key);
  const core::LockGuard lock(mutex_);
  const auto found = objects_.find(key);
  if (found == objects_.end()) return std::nullopt;
  return slice(found->second.content, offset, length);
}

std::optional<ObjectTail> MemoryStore::get_tail(std::string_view key, std::uint64_t length) {
  check_key(key);
  const core::LockGuard lock(mutex_);
  const auto found = objects_.find(key);
  if (found == objects_.end()) return std::nullopt;
  const std::uint64_t size = found->second.content.size();
  return ObjectTail{.content = slice(found->second.content, size - std::min(size, length), length),
                    .object_size = size};
}

std::optional<ObjectInfo> MemoryStore::head(std::string_view key) {
  check_key(key);
  const core::LockGuard lock(mutex_);
  const auto found = objects_.find(key);
  if (found == objects_.end()) return std::nullopt;
  return ObjectInfo{.key = found->first, .size = found->second.content.size(), .modified = found->second.modified};
}

void MemoryStore::list(std::string_view prefix, std::string_view start_after,
                       const std::function<bool(const ObjectInfo&)>& each) {
  std::vector<ObjectInfo> found;
  {
    const core::LockGuard lock(mutex_);
    for (auto at = objects_.lower_bound(std::max(prefix, start_after)); at != objects_.end(); ++at) {
      if (!at->first.starts_with(prefix)) break;
      if (at->first == start_after) continue;
      found.push_back({.key = at->first, .size = at->second.content.size(), .modified = at->second.modified});
    }
  }
  for (const auto& info : found) {
    if (!each(info)) return;
  }
}

void MemoryStore::remove(std::span<const std::string> keys) {
  for (const auto& key : keys) check_key(key);
  const core::LockGuard lock(mutex_);
  for (const auto& key : keys) objects_.erase(key);
}

std::vector<std::string> MemoryStore::keys() {
  const core::LockGuard lock(mutex_);
  std::vector<std::string> keys;
  for (const auto& [key, object] : objects_) keys.push_back(key);
  return keys;
}

void MemoryStore::corrupt(std::string_view key, std::uint64_t offset) {
  const core::LockGuard lock(mutex_);
  const auto found = objects_.find(key);
  if (found == objects_.end() || offset >= found->second.content.size()) {
    throw core::Error(core::Code::kInternal, fmt::format("'{}' has no byte {} to corrupt", key, offset));
  }
  found->second.content[offset] ^= std::byte{0x55};
}

}  // namespace backstay::blob::testing
