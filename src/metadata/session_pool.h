// The sessions of a Database and who holds them.
#pragma once

#include <memory>
#include <vector>

#include <soci/soci.h>

#include "core/mutex.h"
#include "metadata/back_end.h"
#include "metadata/database.h"
#include "metadata/sealer.h"

namespace backstay::metadata {

struct Session {
  Session(const BackEnd& back_end, const MasterKey& key, core::Random& random, Access for_access);
  soci::session sql;
  Sealer sealer;
  const Access access;
};

/// Thread-safe.
struct SessionPool {
  SessionPool(std::unique_ptr<BackEnd> store, const DatabaseConfig& config, core::Random& random);

  /// Waits for a free session. Throws Error(state_error) if none becomes free.
  std::unique_ptr<Session> take(Access access);
  void give_back(std::unique_ptr<Session> session);

  const std::unique_ptr<BackEnd> back_end;

 private:
  std::vector<std::unique_ptr<Session>>& free_of(Access access) REQUIRES(mutex_) {
    return access == Access::kWrite ? writers_ : readers_;
  }

  const std::chrono::seconds patience_;
  core::Mutex mutex_;
  core::Condition given_back_;
  std::vector<std::unique_ptr<Session>> readers_ GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<Session>> writers_ GUARDED_BY(mutex_);
};

}  // namespace backstay::metadata
