#include "app/services_directory.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/text.h"
#include "metadata/settings.h"

namespace backstay::app {
namespace {

constexpr auto kStateId = "state_id";
constexpr auto kClaimed = "services_directory_claimed";
constexpr auto kHint = "point server.services_dir to the directory that the other servers of this state use";

}  // namespace

void claim_services_directory(const std::filesystem::path& directory, os::FileSystem& files, metadata::Database& state,
                              core::Random& random) {
  const auto file = directory / "state-id";
  const auto id = state.write([&](auto& tx) {
    metadata::Settings settings(tx);
    if (auto known = settings.get(kStateId)) return *known;
    auto made = random.uuid();
    settings.put(kStateId, made);
    return made;
  });
  if (files.stat(file)) {
    const core::Bytes content = files.read_file(file);
    if (core::trim(core::as_text(content)) != id) {
      throw core::Error(core::Code::kConfigError,
                        fmt::format("the services in '{}' belong to another state", directory.string()))
          .with_hint(kHint);
    }
  } else {
    if (state.read([](auto& tx) { return metadata::Settings(tx).get(kClaimed); })) {
      throw core::Error(core::Code::kConfigError,
                        fmt::format("the services of this state are not in '{}'", directory.string()))
          .with_hint(kHint);
    }
    files.make_directories(directory, 0711);
    files.write_file_durably(file, core::as_bytes(id + "\n"), 0644);
  }
  state.write([](auto& tx) { metadata::Settings(tx).put(kClaimed, "yes"); });
}

}  // namespace backstay::app
