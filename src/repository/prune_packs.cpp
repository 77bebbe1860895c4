#include "repository/prune_packs.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"
#include "core/text.h"
#include "repository/json_fields.h"

namespace backstay::repository::detail {
namespace {

constexpr std::string_view kPrefix = "condemned/";
constexpr std::string_view kPacks = "packs/";
/// A list of so many has about three megabytes.
constexpr std::size_t kPacksInList = 50'000;
/// An empty list is another run that asks for the time.
constexpr core::Duration kRunTime = std::chrono::hours(1);

PackList decode(std::string_view key, core::ByteSpan content) {
  return reading(key, [&] {
    const core::json::value value = core::parse_json(core::as_text(content));
    const core::json::object& object = core::as_object(value);
    PackList list{.condemned = read_time(object, "condemned")};
    const core::json::array* const writers = core::find_array(object, "writers");
    const core::json::array* const packs = core::find_array(object, "packs");
    if (writers == nullptr || packs == nullptr) throw core::Error(core::Code::kCorruptData, "a field is missing");
    for (const core::json::value& writer : *writers) {
      if (!writer.is_string()) throw core::Error(core::Code::kCorruptData, "a writer is not named");
      list.writers.insert(parse_object_id(writer.get_string()));
    }
    for (const core::json::value& pack : *packs) {
      const core::json::object& entry = core::as_object(pack);
      list.packs.push_back({parse_object_id(core::require_string(entry, "pack")), read_number(entry, "size")});
    }
    std::ranges::sort(list.packs, {}, &PackObject::id);
    return list;
  });
}

std::uint64_t total_size(const std::vector<PackObject>& packs) {
  std::uint64_t bytes = 0;
  for (const PackObject& pack : packs) bytes += pack.size;
  return bytes;
}

std::string title(std::size_t packs) { return fmt::format("{} packs", packs); }

class PackPruner {
 public:
  explicit PackPruner(PruneWorld& world) : world_(world) {}

  void run() {
    try {
      for (const blob::ObjectInfo& list : lists()) sweep(list);
      mark();
    } catch (const core::Error& error) {
      if (!is_damaged(error)) throw;
      world_.wait("packs", fmt::format("which of them are needed is not known: {}; delete the backup that it belongs "
                                       "to, if it is lost",
                                       error.message()));
    }
  }

 private:
  std::vector<blob::ObjectInfo> lists() {
    std::vector<blob::ObjectInfo> found;
    world_.repository.store().list(kPrefix, "", [&](const blob::ObjectInfo& object) {
      if (object.key != world_.clock_key) found.push_back(object);
      return true;
    });
    return found;
  }

  void sweep(const blob::ObjectInfo& object) {
    std::optional<PackList> list;
    try {
      const auto content = world_.repository.get_sealed({Kind::kCondemned, object.key});
      if (!content) return;
      list = decode(object.key, *content);
    } catch (const core::Error& error) {
      if (!is_damaged(error)) throw;
      return world_.remove({object.key});  // Its packs are found again.
    }
    const core::Duration age = world_.clocks.age(list->condemned, object.modified);
    if (list->packs.empty()) {
      if (age >= std::max(world_.request.grace, kRunTime)) world_.remove({object.key});
      return;
    }
    if (age < world_.request.grace) {
      return hold(*list, fmt::format("nothing refers to them; they are removed after {}",
                                     core::format_duration(world_.request.grace - age)));
    }
    // The order of these two matters: what a writer that is done has written is in a manifest by now, or in none ever.
    for (const ObjectId& writer : live_writers(world_)) {
      if (list->writers.contains(writer)) {
        return hold(*list, "a backup is being written and may refer to them");
      }
    }
    keep_unreferenced(world_, list->packs);
    remove_packs(list->packs);
    world_.remove({object.key});
  }

  void hold(const PackList& list, std::string why) {
    for (const PackObject& pack : list.packs) held_.push_back(pack.id);
    world_.wait(title(list.packs.size()), std::move(why));
  }

  void remove_packs(const std::vector<PackObject>& packs) {
    if (packs.empty()) return;
    std::vector<std::string> keys;
    for (const PackObject& pack : packs) keys.push_back(pack_key(pack.id));
    world_.note(PruneAction::kRemovePacks, title(packs.size()), packs.size(), total_size(packs),
                "nothing refers to them");
    world_.remove(keys);
    for (const PackObject& pack : packs) held_.push_back(pack.id);  // a dry run sees them still
  }

  void mark() {
    std::ranges::sort(held_);
    std::vector<PackObject> seen;
    world_.repository.store().list(kPacks, "", [&](const blob::ObjectInfo& object) {
      const auto id = parse(object.key);
      if (!id || std::ranges::binary_search(held_, *id)) return true;
      // Not needed for safety, but what is fresh is likely to be referred to soon.
      if (world_.clocks.store - object.modified < world_.request.grace) return true;
      seen.push_back({*id, object.size});
      if (seen.size() >= world_.request.ids_in_memory) condemn(seen);
      return true;
    });
    condemn(seen);
  }

  static std::optional<ObjectId> parse(const std::string& key) {
    const std::string_view name = std::string_view(key).substr(key.rfind('/') + 1);
    try {
      const ObjectId id = parse_object_id(name);
      if (pack_key(id) == key) return id;
    } catch (const core::Error& error) {
      if (error.code() != core::Code::kInvalidArgument) throw;
    }
    return std::nullopt;  // none of ours
  }

  /// The writers are listed after the packs were: whoever wrote one of them is among them or done.
  void condemn(std::vector<PackObject>& packs) {
    std::ranges::sort(packs, {}, &PackObject::id);
    keep_unreferenced(world_, packs);
    for (std::size_t from = 0; from < packs.size(); from += kPacksInList) {
      const auto first = packs.begin() + static_cast<std::ptrdiff_t>(from);
      const auto count = static_cast<std::ptrdiff_t>(std::min(kPacksInList, packs.size() - from));
      PackList list{.condemned = world_.clocks.here, .writers = live_writers(world_), .packs = {first, first + count}};
      world_.note(PruneAction::kCondemnPacks, title(list.packs.size()), list.packs.size(), total_size(list.packs),
                  "nothing refers to them");
      if (!world_.request.dry_run) put_pack_list(world_.repository, list);
    }
    packs.clear();
  }

  PruneWorld& world_;
  std::vector<ObjectId> held_;  // in lists already
};

}  // namespace

std::string put_pack_list(Repository& repository, const PackList& list) {
  core::json::array writers;
  for (const ObjectId& writer : list.writers) writers.emplace_back(format_object_id(writer));
  core::json::array packs;
  for (const PackObject& pack : list.packs) {
    packs.push_back(core::json::object{{"pack", format_object_id(pack.id)}, {"size", number_text(pack.size)}});
  }
  const core::json::object content{
      {"condemned", core::format_time(list.condemned)}, {"writers", std::move(writers)}, {"packs", std::move(packs)}};
  const std::string key = fmt::format("{}{}", kPrefix, repository.random().uuid());
  repository.put_sealed({Kind::kCondemned, key}, core::as_bytes(core::to_text(content)));
  return key;
}

void prune_packs(PruneWorld& world) { PackPruner(world).run(); }

}  // namespace backstay::repository::detail
