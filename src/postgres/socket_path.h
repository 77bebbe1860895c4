// Unix sockets below directories whose paths are longer than the 107 bytes that a socket address holds.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace backstay::postgres {

/// A directory through which sockets in it can be named in few bytes while this object lives: the path itself where it
/// is short enough, else /proc/self/fd/<n> of a descriptor held here. Only for this process and what it forks.
class SocketDirectory {
 public:
  /// Throws Error(database_unavailable) if the directory cannot be opened.
  explicit SocketDirectory(const std::filesystem::path& directory);
  ~SocketDirectory();
  SocketDirectory(const SocketDirectory&) = delete;
  SocketDirectory& operator=(const SocketDirectory&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
};

/// The name PostgreSQL gives its socket: ".s.PGSQL.<port>".
std::string socket_name(std::uint16_t port);

}  // namespace backstay::postgres
