// A file that is read as memory, as far as it reached when it was opened.
#pragma once

#include <filesystem>

#include "core/bytes.h"

namespace backstay::os {

class MappedFile {
 public:
  /// Throws Error(not_found) or Error(io_error); only regular files are mapped.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  /// Valid as long as this. Whoever shortens the file meanwhile ends the process that reads what is gone.
  [[nodiscard]] core::ByteSpan bytes() const { return {static_cast<const std::byte*>(begin_), size_}; }

 private:
  void* begin_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace backstay::os
