// WAL segments that are being received, each in a file of its own.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "core/bytes.h"
#include "core/mutex.h"
#include "os/file.h"
#include "postgres/lsn.h"

namespace backstay::backup {

/// One thread writes; others may read what was written before they were told so. The file's space is taken at the
/// beginning, so that a full disk is an Error(disk_full) here and not a signal later. The file goes with the object.
class SpoolSegment {
 public:
  SpoolSegment(const std::filesystem::path& directory, postgres::SegmentName name, std::uint64_t segment_size);
  ~SpoolSegment();
  SpoolSegment(const SpoolSegment&) = delete;
  SpoolSegment& operator=(const SpoolSegment&) = delete;

  /// Becomes another segment, of the same size; what was written stays until it is written over. False if its file is
  /// not in the directory any more.
  [[nodiscard]] bool rename(postgres::SegmentName name);
  void write(std::uint64_t at, core::ByteSpan bytes);

  [[nodiscard]] postgres::SegmentName name() const { return name_; }
  [[nodiscard]] std::uint64_t size() const { return size_; }
  /// The bytes [from, to), mapped from the file.
  [[nodiscard]] core::ByteSpan bytes(std::uint64_t from, std::uint64_t to) const;

 private:
  postgres::SegmentName name_;
  const std::uint64_t size_;
  std::filesystem::path path_;
  os::Descriptor file_;
  const std::byte* mapped_ = nullptr;
};

/// Files are used again: memory and disk that were found for one segment need not be found for the next, which is half
/// of what a spool costs. Safe for any thread.
class Spool {
 public:
  Spool(std::filesystem::path directory, std::uint64_t segment_size);

  /// Errors as those of SpoolSegment.
  [[nodiscard]] std::unique_ptr<SpoolSegment> take(postgres::SegmentName name);
  void give_back(std::unique_ptr<SpoolSegment> segment) noexcept;

 private:
  const std::filesystem::path directory_;
  const std::uint64_t segment_size_;
  core::Mutex mutex_;
  std::vector<std::unique_ptr<SpoolSegment>> free_ GUARDED_BY(mutex_);
};

}  // namespace backstay::backup
