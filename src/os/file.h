// An owned file descriptor and the plain operations on real files that hot paths use.
#pragma once

#include <cstdint>
#include <filesystem>
#include <utility>

#include <sys/types.h>

#include "core/bytes.h"

namespace backstay::os {

/// Owns a file descriptor and closes it.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    if (this != &other) {
      close();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~Descriptor() { close(); }

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }
  void close() noexcept;

 private:
  int fd_ = -1;
};

/// open(2) with O_CLOEXEC added. Throws not_found if the path does not exist, already_exists for O_EXCL, else io_error.
Descriptor open_file(const std::filesystem::path& path, int flags, mode_t mode = 0600);
/// Fills `out` from `offset` on; less than asked only at the end of the file.
std::size_t read_at(int fd, std::uint64_t offset, core::MutableByteSpan out);
/// Writes everything or throws.
void write_at(int fd, std::uint64_t offset, core::ByteSpan data);
void write_all(int fd, core::ByteSpan data);
std::uint64_t file_size(int fd);
/// fsync(2).
void sync_file(int fd);
/// Lets the disk begin with what was written there, without waiting. Promises nothing and throws nothing: an error of
/// the disk is told by the sync that follows.
void begin_write_back(int fd, std::uint64_t offset, std::uint64_t size) noexcept;

}  // namespace backstay::os
