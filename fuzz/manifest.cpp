// A manifest that somebody with the key wrote: sealed as it must be, and anything in it.
#include <memory>

#include "blob/testing/memory_store.h"
#include "core/testing/manual_clock.h"
#include "fuzz.h"
#include "repository/manifest.h"

namespace {

using namespace backstay;  // NOLINT(google-build-using-namespace)

const std::string kInstance = "11111111-1111-4111-8111-111111111111";
const std::string kBackup = "22222222-2222-4222-8222-222222222222";

struct World {
  core::SystemRandom random;
  core::testing::ManualClock clock;
  repository::TeamKey key{repository::KeyBytes::generate(random)};
  std::shared_ptr<blob::testing::MemoryStore> store = std::make_shared<blob::testing::MemoryStore>();
  std::unique_ptr<repository::Repository> repository = repository::Repository::create(store, key, random, clock);
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static World world;
  fuzz::Input input(data, size);
  repository::ContainerWriter writer(world.repository->data_key(), world.random, codec::Compression::kNone);
  const auto name = repository::manifest_name(kInstance, kBackup, {});
  const auto meta = input.bytes(input.u16());
  writer.begin(name);
  while (!input.empty()) writer.add_group(input.bytes(input.u16()));
  writer.finish(meta);
  world.store->put(name.key, writer.take_buffer());

  fuzz::parses({core::Code::kCorruptData, core::Code::kUnsupportedFormat}, [&] {
    repository::ManifestReader reader(*world.repository, name);
    std::string previous;
    while (const auto entry = reader.next()) {
      fuzz::require(previous.empty() || repository::path_less(previous, entry->path), "paths come in order");
      fuzz::require(!entry->path.starts_with('/') && ("/" + entry->path + "/").find("/../") == std::string::npos,
                    "no path leads out");
      for (const auto& extent : entry->extents) {
        fuzz::require(extent.file_offset + extent.length <= entry->size, "an extent lies within its file");
      }
      previous = entry->path;
    }
  });
  return 0;
}
