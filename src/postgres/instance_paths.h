// Where an instance lies on disk.
#pragma once

#include <filesystem>
#include <optional>

#include "os/file_system.h"
#include "os/process.h"

namespace backstay::postgres {

/// One directory for each instance. As root, what the server writes (data, socket, recovery, tablespaces) belongs to
/// its own user, and what only we write (config, tls, log) to us, so that no tenant can lead our writes elsewhere.
struct InstancePaths {
  std::filesystem::path root;

  [[nodiscard]] std::filesystem::path data() const { return root / "data"; }
  [[nodiscard]] std::filesystem::path socket() const { return root / "socket"; }
  [[nodiscard]] std::filesystem::path recovery() const { return root / "recovery"; }
  [[nodiscard]] std::filesystem::path tablespaces() const { return root / "tablespaces"; }
  [[nodiscard]] std::filesystem::path config() const { return root / "config"; }
  [[nodiscard]] std::filesystem::path tls() const { return root / "tls"; }
  [[nodiscard]] std::filesystem::path log() const { return root / "log"; }
  [[nodiscard]] std::filesystem::path log_file() const { return log() / "postgresql.log"; }
};

/// Makes root and all directories but data. Nobody else may enter: 0700, or 0750 with the identity's group for what it
/// only reads. Idempotent.
void prepare_directories(os::FileSystem& files, const InstancePaths& paths,
                         const std::optional<os::Identity>& identity);

/// Gives `path` and everything below it to the identity, symlinks themselves included; nothing if there is none. Its
/// owner until then may work against it: nothing outside and nothing of a third user is given away.
void give_to(os::FileSystem& files, const std::filesystem::path& path, const std::optional<os::Identity>& identity);

/// Writes a file that the identity may read and only we may write: 0640 with its group, else 0600.
void write_readable_file(os::FileSystem& files, const std::filesystem::path& path, std::string_view content,
                         const std::optional<os::Identity>& identity);
/// The same for what is written anew after a crash: nothing is synced.
void write_passing_file(os::FileSystem& files, const std::filesystem::path& path, std::string_view content,
                        const std::optional<os::Identity>& identity);

}  // namespace backstay::postgres
