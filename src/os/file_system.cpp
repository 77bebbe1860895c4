#include "os/file_system.h"

#include <fmt/format.h>

#include "core/error.h"

namespace backstay::os {
namespace {

constexpr int kTemporaryNames = 1000;

struct Temporary {
  Path path;
  std::unique_ptr<WritableFile> file;
};

/// Of a name that nobody else writes at the moment. A name that a crash left behind stays taken.
Temporary create_beside(FileSystem& files, const Path& path, mode_t mode) {
  for (int number = 0;; ++number) {
    Path temporary = path;
    temporary += number == 0 ? ".writing" : fmt::format(".writing.{}", number);
    try {
      return {temporary, files.create_new(temporary, mode)};
    } catch (const core::Error& error) {
      if (error.code() != core::Code::kAlreadyExists || number == kTemporaryNames) throw;
    }
  }
}

}  // namespace

void FileSystem::write_file_durably(const Path& path, core::ByteSpan content, mode_t mode) {
  try {
    const auto temporary = create_beside(*this, path, mode);
    try {
      temporary.file->append(content);
      temporary.file->sync();
      temporary.file->close();
      rename(temporary.path, path);
    } catch (const core::Error&) {
      remove_quietly(temporary.path);
      throw;
    }
    sync_directory(path.parent_path().empty() ? Path(".") : path.parent_path());
  } catch (core::Error& error) {
    throw error.add_context(fmt::format("cannot write '{}'", path.native()));
  }
}

void FileSystem::remove_quietly(const Path& path) noexcept {
  try {
    remove(path);
  } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): whoever calls has a worse error to tell
  }
}

}  // namespace backstay::os
