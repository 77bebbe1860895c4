#include "postgres/socket_path.h"

#include <cerrno>
#include <string>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include "core/error.h"

namespace backstay::postgres {
namespace {

// sockaddr_un holds 107 bytes and a zero; the longest name in the directory is "/.s.PGSQL.65535".
constexpr std::size_t kLongestDirectory = 107 - 15;

}  // namespace

SocketDirectory::SocketDirectory(const std::filesystem::path& directory) : path_(directory) {
  if (directory.native().size() <= kLongestDirectory) return;
  descriptor_ = ::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (descriptor_ < 0) {
    throw core::system_error(fmt::format("cannot open the socket directory '{}'", directory.string()), errno,
                             core::Code::kDatabaseUnavailable);
  }
  path_ = fmt::format("/proc/self/fd/{}", descriptor_);
}

SocketDirectory::~SocketDirectory() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

std::string socket_name(std::uint16_t port) { return fmt::format(".s.PGSQL.{}", port); }

}  // namespace backstay::postgres
