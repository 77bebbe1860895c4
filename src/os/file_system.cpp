#include "os/file_system.h"

#include <fmt/format.h>

#include "core/error.h"

namespace backstay::os {

void FileSystem::write_file_durably(const Path& path, core::ByteSpan content, mode_t mode) {
  Path temporary = path;
  temporary += ".writing";
  try {
    const auto file = create(temporary, mode);
    file->append(content);
    file->sync();
    file->close();
    rename(temporary, path);
    sync_directory(path.parent_path().empty() ? Path(".") : path.parent_path());
  } catch (core::Error& error) {
    throw error.add_context(fmt::format("cannot write '{}'", path.native()));
  }
}

}  // namespace backstay::os
