// Which packs a repository holds, listed once for all who ask at about the same time.
#pragma once

#include <memory>
#include <vector>

#include "core/mutex.h"
#include "core/time.h"
#include "repository/repository.h"

namespace backstay::repository {

/// Thread-safe. Sixteen bytes a pack.
class PackListing {
 public:
  /// The clock outlives it.
  PackListing(core::Clock& clock, core::Duration keep) : clock_(clock), keep_(keep) {}

  /// Sorted. A listing that began no earlier than `not_before` and is not older than `keep`; the store is asked if
  /// there is none, while others who want one wait for it.
  std::shared_ptr<const std::vector<ObjectId>> get(Repository& repository, core::SteadyTime not_before);

 private:
  core::Clock& clock_;
  const core::Duration keep_;
  core::Mutex mutex_;
  core::Condition listed_;
  bool listing_ GUARDED_BY(mutex_) = false;
  core::SteadyTime begun_ GUARDED_BY(mutex_);
  std::shared_ptr<const std::vector<ObjectId>> packs_ GUARDED_BY(mutex_);
};

}  // namespace backstay::repository
