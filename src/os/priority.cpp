#include "os/priority.h"

#include <limits>

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/error.h"
#include "core/text.h"
#include "os/file_system.h"

namespace backstay::os {
namespace {

constexpr int kLowest = 19;
// Of linux/ioprio.h, which not every libc has.
constexpr int kThisThread = 1;
constexpr int kIdleClass = 3 << 13;

}  // namespace

void lower_priority() {
  ::setpriority(PRIO_PROCESS, 0, kLowest);  // of a thread, on Linux
  ::syscall(SYS_ioprio_set, kThisThread, 0, kIdleClass);
}

std::uint64_t available_memory() {
  constexpr std::string_view kKey = "MemAvailable:";
  RealFileSystem files;
  core::Bytes text;
  try {
    text = files.read_file("/proc/meminfo");
  } catch (const core::Error&) {
    return std::numeric_limits<std::uint64_t>::max();
  }
  for (const auto& line : core::split(core::as_text(text), '\n')) {
    if (!line.starts_with(kKey)) continue;
    const auto number = core::trim(std::string_view(line).substr(kKey.size()));
    const auto kibibytes = core::parse_int(number.substr(0, number.find(' ')));
    if (kibibytes) return static_cast<std::uint64_t>(*kibibytes) << 10;
  }
  return std::numeric_limits<std::uint64_t>::max();
}

}  // namespace backstay::os
