#include "api/token_places.h"

#include <fmt/format.h>

#include "api/rate_limits.h"
#include "core/error.h"

namespace backstay::api {

std::shared_ptr<void> TokenPlaces::take(const std::string& token_id) {
  const core::LockGuard lock(mutex_);
  const auto found = of_token_.find(token_id);
  if (found != of_token_.end() && found->second >= limits_.of_token) {
    const Allowance none{
        .limit = static_cast<std::int64_t>(limits_.of_token), .remaining = 0, .reset = limits_.retry_after};
    throw RateLimited(fmt::format("this token has {} {} open, and may have no more", found->second, limits_.what), none,
                      limits_.retry_after);
  }
  if (taken_ >= limits_.of_all) {
    throw core::Error(core::Code::kUnavailable, fmt::format("too many {} are open", limits_.what));
  }
  ++taken_;
  ++of_token_[token_id];
  return {nullptr, [this, token_id](void*) {
            const core::LockGuard release(mutex_);
            --taken_;
            if (--of_token_[token_id] == 0) of_token_.erase(token_id);
          }};
}

}  // namespace backstay::api
