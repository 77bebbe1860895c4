#include "control/login_attempts.h"

#include <fmt/format.h>

#include "core/error.h"

namespace backstay::control {
namespace {

std::string account_key(const std::string& email) { return "account " + email; }
std::string address_key(const std::string& address) { return "address " + address; }
std::string pair_key(const std::string& email, const std::string& address) { return address + " account " + email; }

}  // namespace

void LoginAttempts::begin(const std::string& email, const std::string& address) {
  const core::LockGuard lock(mutex_);
  const auto now = clock_.steady_now();
  std::erase_if(counts_, [&](const auto& entry) { return now - entry.second.since >= kWindow; });
  count(address_key(address), kMostOfAddress, "from this address");
  count(pair_key(email, address), kMostOfAccountFromAddress, "to this account from this address");
  count(account_key(email), kMostOfAccount, "to this account");
}

void LoginAttempts::count(const std::string& who, int most, std::string_view what) {
  const auto now = clock_.steady_now();
  auto& counted = counts_.try_emplace(who, Count{.attempts = 0, .since = now}).first->second;
  if (counted.attempts >= most) {
    const auto left = std::chrono::ceil<std::chrono::minutes>(kWindow - (now - counted.since));
    throw core::Error(core::Code::kRateLimited, fmt::format("too many logins {} have failed", what))
        .with_hint(fmt::format("try again in {} minutes", left.count()));
  }
  ++counted.attempts;
}

void LoginAttempts::succeeded(const std::string& email, const std::string& address) {
  const core::LockGuard lock(mutex_);
  counts_.erase(account_key(email));
  counts_.erase(pair_key(email, address));
  const auto from = counts_.find(address_key(address));
  if (from != counts_.end()) --from->second.attempts;
}

}  // namespace backstay::control
