#include "backup/spool_segment.h"

#include <cerrno>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <fmt/format.h>

#include "core/error.h"

namespace backstay::backup {

namespace {

/// The name is only for people who look; the object holds the file. One of the same name may be queued for its upload.
os::Descriptor create_anew(const std::filesystem::path& path) {
  unlink(path.c_str());
  return os::open_file(path, O_RDWR | O_CREAT | O_EXCL, 0600);
}

}  // namespace

SpoolSegment::SpoolSegment(const std::filesystem::path& directory, postgres::SegmentName name,
                           std::uint64_t segment_size)
    : name_(name),
      size_(segment_size),
      path_(directory / postgres::segment_name(name.timeline, name.segment, segment_size)),
      file_(create_anew(path_)) {
  const int full = posix_fallocate(file_.get(), 0, static_cast<off_t>(size_));
  if (full != 0) {
    unlink(path_.c_str());
    throw core::system_error(fmt::format("no room for WAL in '{}'", path_.string()), full);
  }
  void* const mapped = mmap(nullptr, size_, PROT_READ, MAP_SHARED, file_.get(), 0);
  if (mapped == MAP_FAILED) {
    const int error = errno;
    unlink(path_.c_str());
    throw core::system_error(fmt::format("cannot map '{}'", path_.string()), error);
  }
  mapped_ = static_cast<const std::byte*>(mapped);
}

SpoolSegment::~SpoolSegment() {
  munmap(const_cast<std::byte*>(mapped_), size_);
  unlink(path_.c_str());
}

void SpoolSegment::write(std::uint64_t at, core::ByteSpan bytes) { os::write_at(file_.get(), at, bytes); }

core::ByteSpan SpoolSegment::bytes(std::uint64_t from, std::uint64_t to) const { return {mapped_ + from, to - from}; }

}  // namespace backstay::backup
