#include "os/mapped_file.h"

#include <cerrno>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <fmt/format.h>

#include "core/error.h"
#include "os/file.h"

namespace backstay::os {

MappedFile::MappedFile(const std::filesystem::path& path) {
  const auto file = open_file(path, O_RDONLY | O_CLOEXEC);
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) {
    throw core::system_error(fmt::format("cannot look at '{}'", path.string()), errno);
  }
  if (!S_ISREG(status.st_mode)) {
    throw core::Error(core::Code::kIoError, fmt::format("'{}' is no file", path.string()));
  }
  size_ = static_cast<std::size_t>(status.st_size);
  if (size_ == 0) return;
  begin_ = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (begin_ == MAP_FAILED) throw core::system_error(fmt::format("cannot read '{}'", path.string()), errno);
}

MappedFile::~MappedFile() {
  if (size_ > 0) ::munmap(begin_, size_);
}

}  // namespace backstay::os
