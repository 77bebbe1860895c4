#include "os/file.h"

#include <cerrno>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"

namespace backstay::os {

void Descriptor::close() noexcept {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

Descriptor open_file(const std::filesystem::path& path, int flags, mode_t mode) {
  for (;;) {
    const int fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
    if (fd >= 0) return Descriptor(fd);
    if (errno == EINTR) continue;
    const core::Code code = errno == ENOENT   ? core::Code::kNotFound
                            : errno == EEXIST ? core::Code::kAlreadyExists
                                              : core::Code::kIoError;
    throw core::system_error(fmt::format("cannot open '{}'", path.native()), errno, code);
  }
}

std::size_t read_at(int fd, std::uint64_t offset, core::MutableByteSpan out) {
  std::size_t done = 0;
  while (done < out.size()) {
    const ssize_t got = ::pread(fd, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw core::system_error("cannot read a file", errno);
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

void write_at(int fd, std::uint64_t offset, core::ByteSpan data) {
  while (!data.empty()) {
    const ssize_t put = ::pwrite(fd, data.data(), data.size(), static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) throw core::system_error("cannot write a file", errno);
    offset += static_cast<std::uint64_t>(put);
    data = data.subspan(static_cast<std::size_t>(put));
  }
}

void write_all(int fd, core::ByteSpan data) {
  while (!data.empty()) {
    const ssize_t put = ::write(fd, data.data(), data.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) throw core::system_error("cannot write a file", errno);
    data = data.subspan(static_cast<std::size_t>(put));
  }
}

std::uint64_t file_size(int fd) {
  struct stat info{};
  if (::fstat(fd, &info) != 0) throw core::system_error("cannot look at a file", errno);
  return static_cast<std::uint64_t>(info.st_size);
}

void sync_file(int fd) {
  if (::fsync(fd) != 0) throw core::system_error("cannot sync a file", errno);
}

void begin_write_back(int fd, std::uint64_t offset, std::uint64_t size) noexcept {
  // Any other flag would wait, and take the error that the sync has to see.
  ::sync_file_range(fd, static_cast<off_t>(offset), static_cast<off_t>(size), SYNC_FILE_RANGE_WRITE);
}

}  // namespace backstay::os
