// One WAL segment that is being received, in a file of its own.
#pragma once

#include <cstdint>
#include <filesystem>

#include "core/bytes.h"
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

  void write(std::uint64_t at, core::ByteSpan bytes);

  [[nodiscard]] postgres::SegmentName name() const { return name_; }
  [[nodiscard]] std::uint64_t size() const { return size_; }
  /// The bytes [from, to), mapped from the file.
  [[nodiscard]] core::ByteSpan bytes(std::uint64_t from, std::uint64_t to) const;

 private:
  const postgres::SegmentName name_;
  const std::uint64_t size_;
  const std::filesystem::path path_;
  os::Descriptor file_;
  const std::byte* mapped_ = nullptr;
};

}  // namespace backstay::backup
