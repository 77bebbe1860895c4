// The directory that the services live in: one for each state, whichever server of it looks.
#pragma once

#include <filesystem>

#include "core/random.h"
#include "metadata/database.h"
#include "os/file_system.h"

namespace backstay::app {

/// Makes sure that the directory is the one of this state, by a file "state-id" in it; at the first start it becomes
/// so. Throws Error(config_error) for another state's directory, or an empty one where services should be: a server
/// that went on would find all of them gone.
void claim_services_directory(const std::filesystem::path& directory, os::FileSystem& files, metadata::Database& state,
                              core::Random& random);

}  // namespace backstay::app
