// Tells which files of a directory somebody has finished writing.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "os/file.h"

namespace backstay::os {

/// One thread at a time.
class CloseWatch {
 public:
  /// Of what is closed in the directory itself from now on. Throws not_found, io_error.
  explicit CloseWatch(const std::filesystem::path& directory);

  /// The names of files that were open for writing and have been closed since the last call, in that order; waits up to
  /// `patience` for a first one. Under very many at once some may be lost: whoever needs all lists the directory in the
  /// end.
  std::vector<std::string> wait(std::chrono::milliseconds patience);

 private:
  Descriptor inotify_;
};

}  // namespace backstay::os
