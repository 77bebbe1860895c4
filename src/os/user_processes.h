// All processes of one user.
#pragma once

#include <stop_token>

#include <sys/types.h>

#include "core/time.h"

namespace backstay::os {

/// True if a process, zombies aside, runs under this user in any way.
bool any_process_of(uid_t user);

/// Kills every process of the user and returns when none is left. They cannot get away by forking: all of them are
/// signalled at once. Needs root. Throws timeout, cancelled, and internal for root or our own user.
void end_processes_of(uid_t user, core::Clock& clock, core::Duration deadline, std::stop_token stop);

}  // namespace backstay::os
