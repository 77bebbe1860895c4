// What a recovery will read and how long that takes, told before it is begun.
#pragma once

#include "backup/recover.h"
#include "backup/recovery_window.h"
#include "control/archive_memory.h"
#include "core/json.h"

namespace backstay::providers {

/// With the keys of the API's RecoveryForecast. The time rests on what was measured here last, and where nothing of
/// size was, on an assumption; it says which.
core::json::object forecast(const backup::RecoveryPlan& plan, control::ArchiveMemory& memory);

/// Remembers how fast a recovery went, as far as it was large enough to tell.
void remember_rates(const backup::RecoverResult& result, core::Timestamp now, control::ArchiveMemory& memory);

}  // namespace backstay::providers
