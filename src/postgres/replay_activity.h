// Whether a server in recovery does something: it takes no connections, so only its process can be looked at.
#pragma once

#include <cstdint>
#include <optional>

#include <sys/types.h>

namespace backstay::postgres {

/// The processor time, in the kernel's ticks, of the process that replays WAL for this postmaster; nothing if there is
/// none. It grows with every record that is replayed, and stands still while the process waits.
std::optional<std::uint64_t> replay_ticks(pid_t postmaster);

}  // namespace backstay::postgres
