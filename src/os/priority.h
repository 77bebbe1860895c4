// How much of the machine a thread gets when others want it too.
#pragma once

#include <cstdint>

namespace backstay::os {

/// The calling thread, and every thread and program that it starts, gets of processor and disk what nobody else wants.
/// There is no way back. What the machine does not allow is left as it is.
void lower_priority();

/// Memory that programs may have without anything being written out for it; nothing known: all there can be.
std::uint64_t available_memory();

}  // namespace backstay::os
