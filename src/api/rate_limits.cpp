#include "api/rate_limits.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace backstay::api {
namespace {

std::chrono::seconds time_for(double tokens, const RateLimit& limit) {
  return std::chrono::seconds(static_cast<std::int64_t>(std::ceil(tokens / limit.per_second)));
}

}  // namespace

std::optional<Allowance> RateLimiter::take_token(std::string_view token_id) {
  return take(limits_.token, "token " + std::string(token_id), "this token");
}

std::optional<Allowance> RateLimiter::take_address(std::string_view address) {
  return take(limits_.address, "address " + std::string(address), "this address without a valid token");
}

std::optional<Allowance> RateLimiter::take(const RateLimit& limit, const std::string& caller, std::string_view what) {
  if (limit.per_second <= 0) return std::nullopt;
  const double burst = std::max(limit.burst, 1.0);
  const auto now = clock_.steady_now();
  const core::LockGuard lock(mutex_);
  Bucket& bucket = bucket_of(caller, limit, now);
  const double elapsed = std::chrono::duration<double>(now - bucket.filled_at).count();
  bucket.tokens = std::min(burst, bucket.tokens + elapsed * limit.per_second);
  bucket.filled_at = now;
  const bool allowed = bucket.tokens >= 1;
  if (allowed) bucket.tokens -= 1;
  const Allowance allowance{.limit = static_cast<std::int64_t>(burst),
                            .remaining = static_cast<std::int64_t>(bucket.tokens),
                            .reset = time_for(burst - bucket.tokens, limit)};
  if (allowed) return allowance;
  throw RateLimited(
      fmt::format("too many requests of {}: {} at once, then {} a second", what, allowance.limit, limit.per_second),
      allowance, std::max(time_for(1 - bucket.tokens, limit), std::chrono::seconds(1)));
}

RateLimiter::Bucket& RateLimiter::bucket_of(const std::string& caller, const RateLimit& limit, core::SteadyTime now) {
  const auto found = by_caller_.find(caller);
  if (found != by_caller_.end()) {
    buckets_.splice(buckets_.begin(), buckets_, found->second);
    return buckets_.front();
  }
  if (buckets_.size() >= limits_.most_callers) {
    by_caller_.erase(buckets_.back().caller);
    buckets_.pop_back();
  }
  buckets_.push_front({.caller = caller, .tokens = std::max(limit.burst, 1.0), .filled_at = now});
  by_caller_[caller] = buckets_.begin();
  return buckets_.front();
}

void add_headers(http::Response& response, const Allowance& allowance) {
  response.headers.set("X-RateLimit-Limit", std::to_string(allowance.limit));
  response.headers.set("X-RateLimit-Remaining", std::to_string(allowance.remaining));
  response.headers.set("X-RateLimit-Reset", std::to_string(allowance.reset.count()));
}

}  // namespace backstay::api
