// The key that seals the secrets of the state.
#pragma once

#include <filesystem>
#include <optional>

#include "app/configuration.h"
#include "core/random.h"
#include "metadata/database.h"
#include "os/file_system.h"

namespace backstay::app {

/// Where the key is: the configured file, else systemd's credential "backstay-master-key" if there is one, else
/// <state dir>.key. Throws Error(config_error) for a file inside the state directory: a copy of the state must not hold
/// the key to it.
std::filesystem::path master_key_file(const Configuration& configuration, const Environment& environment,
                                      os::FileSystem& files);

/// Reads the key (64 hexadecimal digits), or makes it where there is no state yet. Throws Error(config_error) if it is
/// missing although there is state, if others may read the file, or if it is no key.
metadata::MasterKey load_master_key(const std::filesystem::path& file, bool state_exists, os::FileSystem& files,
                                    core::Random& random);

}  // namespace backstay::app
