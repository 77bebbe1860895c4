// postmaster.pid: what a running server says of itself. Internal to this folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>

#include <sys/types.h>

#include "os/process.h"

namespace backstay::postgres {

inline constexpr std::string_view kPostmasterFile = "postmaster.pid";

struct PostmasterFile {
  pid_t pid = 0;
  bool ready = false;  ///< accepts connections; a recovering one does not
};

/// Nothing if there is no file, or none that is complete enough to name a process. The server's user may have put
/// anything in its place: what is no small regular file names no process either.
std::optional<PostmasterFile> read_postmaster_file(const std::filesystem::path& data_directory);

/// The server's process, if the one with this number is a server of this data directory: it runs a program named
/// postgres, works in the directory, and its parent does not (else it is one of a server's children).
std::optional<os::ProcessId> find_postmaster(const PostmasterFile& file, const std::filesystem::path& data_directory);

/// A server of this data directory, by the same signs, whatever its file says: one that was just started has none yet.
/// Looks at all processes of the machine.
std::optional<os::ProcessId> find_postmaster_without_file(const std::filesystem::path& data_directory);

/// True if any process works in the directory, as every process of a server does.
bool any_process_in(const std::filesystem::path& data_directory);

}  // namespace backstay::postgres
