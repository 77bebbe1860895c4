// How many long answers of one kind a token may be given at a time, and all tokens together.
#pragma once

#include <chrono>
#include <cstddef>
#include <limits>
#include <map>
#include <memory>
#include <string>

#include "core/mutex.h"

namespace backstay::api {

/// Thread-safe. Outlives the places that it gives.
class TokenPlaces {
 public:
  struct Limits {
    /// "event streams"
    std::string what;
    std::size_t of_token = 1;
    std::size_t of_all = std::numeric_limits<std::size_t>::max();
    /// What a token is told that has no place left.
    std::chrono::seconds retry_after{15};
  };
  explicit TokenPlaces(Limits limits) : limits_(std::move(limits)) {}

  /// Held until the last copy is gone. Throws RateLimited if the token has as many as it may, and Error(unavailable)
  /// if all tokens together do.
  std::shared_ptr<void> take(const std::string& token_id);

 private:
  const Limits limits_;
  core::Mutex mutex_;
  std::size_t taken_ GUARDED_BY(mutex_) = 0;
  std::map<std::string, std::size_t> of_token_ GUARDED_BY(mutex_);
};

}  // namespace backstay::api
