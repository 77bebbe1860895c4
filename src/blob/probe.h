// The probe: what a destination can do, tried out before it is accepted.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "blob/destination.h"
#include "blob/store.h"
#include "core/error.h"

namespace backstay::blob {

struct ProbeCheck {
  std::string name = {};   // "put", "get", "range", "multipart", "list", "delete", "conditional_put", …
  bool essential = false;  // a destination without it is refused
  bool passed = false;
  std::string message;  // what was seen, and what to change if it did not pass
};

struct ProbeReport {
  std::vector<ProbeCheck> checks;
  std::vector<std::string> notes;     // effects worth knowing, e.g. of versioning and object lock on space
  std::optional<core::Code> refusal;  // why the first essential check failed
  [[nodiscard]] bool accepted() const;
  /// Throws Error(store_refused, or the code of the first failed essential check) that lists what to change.
  void require_accepted() const;
};

/// Tries the store with objects named ".backstay-probe-<id>-…" (5 MiB in all) and removes them again. Does not throw
/// for a store that refuses or is away: the checks say so. Somebody waits for the answer, so nothing is asked twice,
/// and a store that is silent or takes longer than about 15 seconds in all has failed. Throws Error(cancelled) when
/// stopped, and what open_store throws.
ProbeReport probe(const DestinationConfig& config, const StorePolicy& policy, StoreContext context);

}  // namespace backstay::blob
