#include "backup/spool_segment.h"

#include <cerrno>
#include <cstdio>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <fmt/format.h>

#include "core/error.h"

namespace backstay::backup {

namespace {

/// A stream that is kept up with fills one while another is uploaded.
constexpr std::size_t kFreeKept = 2;

std::filesystem::path path_of(const std::filesystem::path& directory, postgres::SegmentName name, std::uint64_t size) {
  return directory / postgres::segment_name(name.timeline, name.segment, size);
}

/// The name is only for people who look; the object holds the file. One of the same name may be queued for its upload.
os::Descriptor create_anew(const std::filesystem::path& path) {
  unlink(path.c_str());
  return os::open_file(path, O_RDWR | O_CREAT | O_EXCL, 0600);
}

}  // namespace

SpoolSegment::SpoolSegment(const std::filesystem::path& directory, postgres::SegmentName name,
                           std::uint64_t segment_size)
    : name_(name), size_(segment_size), path_(path_of(directory, name, segment_size)), file_(create_anew(path_)) {
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

bool SpoolSegment::rename(postgres::SegmentName name) {
  const std::filesystem::path path = path_of(path_.parent_path(), name, size_);
  if (::rename(path_.c_str(), path.c_str()) != 0) return false;
  name_ = name;
  path_ = path;
  return true;
}

void SpoolSegment::write(std::uint64_t at, core::ByteSpan bytes) { os::write_at(file_.get(), at, bytes); }

core::ByteSpan SpoolSegment::bytes(std::uint64_t from, std::uint64_t to) const { return {mapped_ + from, to - from}; }

Spool::Spool(std::filesystem::path directory, std::uint64_t segment_size)
    : directory_(std::move(directory)), segment_size_(segment_size) {
  free_.reserve(kFreeKept);
}

std::unique_ptr<SpoolSegment> Spool::take(postgres::SegmentName name) {
  std::unique_ptr<SpoolSegment> segment;
  {
    const core::LockGuard lock(mutex_);
    if (!free_.empty()) {
      segment = std::move(free_.back());
      free_.pop_back();
    }
  }
  if (segment && segment->rename(name)) return segment;
  return std::make_unique<SpoolSegment>(directory_, name, segment_size_);
}

void Spool::give_back(std::unique_ptr<SpoolSegment> segment) noexcept {
  const core::LockGuard lock(mutex_);
  if (free_.size() < kFreeKept) free_.push_back(std::move(segment));
}

}  // namespace backstay::backup
