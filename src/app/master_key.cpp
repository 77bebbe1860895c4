#include "app/master_key.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/bytes.h"
#include "core/error.h"
#include "core/text.h"

namespace backstay::app {
namespace {

using core::Code;
using core::Error;

constexpr mode_t kOthers = 0077;

bool lies_in(const std::filesystem::path& file, const std::filesystem::path& directory) {
  const auto inside =
      std::filesystem::weakly_canonical(file).lexically_relative(std::filesystem::weakly_canonical(directory));
  return !inside.empty() && *inside.begin() != "..";
}

metadata::MasterKey parse_key(const core::Bytes& content, const std::filesystem::path& file) {
  metadata::MasterKey key;
  core::Bytes bytes;
  try {
    bytes = core::from_hex(core::trim(core::as_text(content)));
  } catch (const Error&) {
    bytes.clear();
  }
  if (bytes.size() != key.bytes.size()) {
    throw Error(Code::kConfigError, fmt::format("'{}' does not hold 64 hexadecimal digits", file.string()));
  }
  std::copy(bytes.begin(), bytes.end(), key.bytes.begin());
  return key;
}

}  // namespace

std::filesystem::path master_key_file(const Configuration& configuration, const Environment& environment,
                                      os::FileSystem& files) {
  if (!configuration.server_master_key_file.empty()) {
    const auto file = std::filesystem::absolute(configuration.server_master_key_file);
    if (lies_in(file, configuration.server_state_dir)) {
      throw Error(Code::kConfigError,
                  fmt::format("server.master_key_file '{}' lies inside the state directory", file.string()))
          .with_hint("keep the key elsewhere, so that a copy of the state does not hold the key to its secrets");
    }
    return file;
  }
  if (const auto directory = environment("CREDENTIALS_DIRECTORY")) {
    const auto file = std::filesystem::path(*directory) / "backstay-master-key";
    if (files.stat(file)) return file;
  }
  return configuration.server_state_dir + ".key";
}

metadata::MasterKey load_master_key(const std::filesystem::path& file, bool state_exists, os::FileSystem& files,
                                    core::Random& random) {
  const auto found = files.stat(file);
  if (!found && state_exists) {
    throw Error(Code::kConfigError, fmt::format("the master key '{}' is missing", file.string()))
        .with_hint("put the key file back; without it the secrets in the state cannot be read");
  }
  if (!found) {
    const std::string text = core::to_hex(random.bytes(metadata::MasterKey().bytes.size())) + "\n";
    files.write_file_durably(file, core::as_bytes(text), 0600);
  } else if ((found->mode & kOthers) != 0) {
    throw Error(Code::kConfigError, fmt::format("the master key '{}' can be read by others", file.string()))
        .with_hint(fmt::format("chmod 600 {}", file.string()));
  }
  return parse_key(files.read_file(file), file);
}

}  // namespace backstay::app
