#include "os/close_watch.h"

#include <array>
#include <cerrno>

#include <fmt/format.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "core/error.h"

namespace backstay::os {

CloseWatch::CloseWatch(const std::filesystem::path& directory) : inotify_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
  if (!inotify_.valid()) throw core::system_error("cannot watch files", errno);
  if (::inotify_add_watch(inotify_.get(), directory.c_str(), IN_CLOSE_WRITE | IN_ONLYDIR | IN_DONT_FOLLOW) < 0) {
    throw core::system_error(fmt::format("cannot watch '{}'", directory.string()), errno,
                             errno == ENOENT ? core::Code::kNotFound : core::Code::kIoError);
  }
}

std::vector<std::string> CloseWatch::wait(std::chrono::milliseconds patience) {
  pollfd watched{inotify_.get(), POLLIN, 0};
  if (::poll(&watched, 1, static_cast<int>(patience.count())) < 0 && errno != EINTR) {
    throw core::system_error("cannot wait for files", errno);
  }
  std::vector<std::string> names;
  alignas(inotify_event) std::array<char, 65536> buffer;
  for (;;) {
    const ssize_t got = ::read(inotify_.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return names;
    for (std::size_t at = 0; at < static_cast<std::size_t>(got);) {
      const auto* const event = reinterpret_cast<const inotify_event*>(buffer.data() + at);
      if (event->len > 0) names.emplace_back(event->name);
      at += sizeof(inotify_event) + event->len;
    }
  }
}

}  // namespace backstay::os
