#include "repository/first_look.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "core/text.h"
#include "repository/container_reader.h"
#include "repository/description.h"
#include "repository/repository.h"

namespace backstay::repository {
namespace {

/// As many connections.
constexpr unsigned kThreads = 6;
constexpr std::size_t kMostObjects = 32;
constexpr std::uint64_t kMostBytes = 4U << 20;

enum class Interest { kNone, kManifest, kSmall, kSegment };

/// Of "<instance>/…", "<instance>/backups/<backup>/…", "<instance>/wal/…" in parts.
Interest interest_in(const std::vector<std::string>& parts) {
  if (parts.size() == 2) return parts[1] == "instance" ? Interest::kSmall : Interest::kNone;
  if (parts[1] == "backups" && parts.size() == 4) {
    if (parts[3].starts_with("manifest")) return Interest::kManifest;
    return parts[3].starts_with("record") ? Interest::kSmall : Interest::kNone;
  }
  if (parts[1] != "wal") return Interest::kNone;
  const bool object = parts.size() == 4 && parts[3].find('.') != std::string::npos;
  return object && parts[3].find(".tail.") == std::string::npos ? Interest::kSegment : Interest::kSmall;
}

struct Choice {
  const blob::ObjectInfo* manifest = nullptr;
  std::vector<const blob::ObjectInfo*> small = {};
  std::vector<const blob::ObjectInfo*> segments = {};
  std::uint64_t bytes = 0;
};

Choice choose(const std::vector<blob::ObjectInfo>& objects, const std::string& backup) {
  Choice choice;
  for (const blob::ObjectInfo& object : objects) {
    const auto parts = core::split(std::string_view(object.key).substr(instances_prefix().size()), '/');
    switch (parts.size() < 2 ? Interest::kNone : interest_in(parts)) {
      case Interest::kNone: break;
      case Interest::kManifest: {
        const bool newer = choice.manifest == nullptr || choice.manifest->modified < object.modified;
        if (newer && (backup.empty() || parts[2] == backup)) choice.manifest = &object;
        break;
      }
      case Interest::kSmall:
        choice.small.push_back(&object);
        choice.bytes += object.size;
        break;
      case Interest::kSegment: choice.segments.push_back(&object); break;
    }
  }
  if (choice.manifest != nullptr) choice.bytes += choice.manifest->size;
  return choice;
}

}  // namespace

std::shared_ptr<blob::Store> begin_recovery_reads(std::shared_ptr<blob::Store> store, const std::string& backup) {
  auto early = std::make_shared<blob::EarlyReads>(std::move(store), kThreads);
  early->begin_get(std::string(detail::kDescriptionKey));
  early->begin_list(instances_prefix());
  const auto objects = early->all_listed();
  if (!objects) return early;
  const Choice choice = choose(*objects, backup);
  if (choice.bytes > kMostBytes) return early;
  // It leads to the packs.
  if (choice.manifest != nullptr) early->begin_get(choice.manifest->key);
  if (choice.small.size() + choice.segments.size() > kMostObjects) return early;
  for (const auto* object : choice.small) early->begin_get(object->key);
  for (const auto* object : choice.segments) early->begin_get_tail(object->key, kTailRead);
  return early;
}

}  // namespace backstay::repository
