// How many requests one token, or one address without a token, may send: a bucket of allowances that fills steadily.
#pragma once

#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/error.h"
#include "core/mutex.h"
#include "core/time.h"
#include "http/types.h"

namespace backstay::api {

struct RateLimit {
  /// 0: no limit.
  double per_second = 0;
  /// How many may come at once after a pause.
  double burst = 1;
};

struct RateLimits {
  RateLimit token;
  /// For requests without a valid token.
  RateLimit address;
  /// More callers than this at a time, and the one that has been quiet for longest begins anew with a full bucket.
  std::size_t most_callers = 10000;
};

/// What is left after a request was counted.
struct Allowance {
  std::int64_t limit = 0;
  std::int64_t remaining = 0;
  /// Until the bucket is full again.
  std::chrono::seconds reset{0};
};

/// Too many requests.
class RateLimited : public core::Error {
 public:
  RateLimited(std::string message, Allowance allowance, std::chrono::seconds retry_after)
      : Error(core::Code::kRateLimited, std::move(message)), allowance_(allowance), retry_after_(retry_after) {}
  [[nodiscard]] const Allowance& allowance() const { return allowance_; }
  [[nodiscard]] std::chrono::seconds retry_after() const { return retry_after_; }

 private:
  Allowance allowance_;
  std::chrono::seconds retry_after_;
};

/// A request that was counted, and then refused for another reason.
class CountedRefusal : public core::Error {
 public:
  CountedRefusal(const core::Error& refusal, Allowance allowance) : Error(refusal), allowance_(allowance) {}
  [[nodiscard]] const Allowance& allowance() const { return allowance_; }

 private:
  Allowance allowance_;
};

/// Thread-safe.
class RateLimiter {
 public:
  /// The clock outlives this.
  RateLimiter(RateLimits limits, core::Clock& clock) : limits_(limits), clock_(clock) {}

  /// Counts a request of a token, or of an address. Nothing where there is no limit; throws RateLimited.
  std::optional<Allowance> take_token(std::string_view token_id);
  std::optional<Allowance> take_address(std::string_view address);

 private:
  struct Bucket {
    std::string caller;
    double tokens = 0;
    core::SteadyTime filled_at;
  };
  std::optional<Allowance> take(const RateLimit& limit, const std::string& caller, std::string_view what);
  Bucket& bucket_of(const std::string& caller, const RateLimit& limit, core::SteadyTime now) REQUIRES(mutex_);

  const RateLimits limits_;
  core::Clock& clock_;
  core::Mutex mutex_;
  std::list<Bucket> buckets_ GUARDED_BY(mutex_);  // the last used in front
  std::unordered_map<std::string, std::list<Bucket>::iterator> by_caller_ GUARDED_BY(mutex_);
};

/// X-RateLimit-Limit, -Remaining and -Reset (in seconds).
void add_headers(http::Response& response, const Allowance& allowance);

}  // namespace backstay::api
