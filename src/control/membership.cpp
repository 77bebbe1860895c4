#include "control/membership.h"

#include "core/log.h"
#include "metadata/servers.h"

namespace backstay::control {

std::int64_t Membership::join() {
  const auto began = clock_.steady_now();
  const auto epoch = database_.write([&](auto& tx) {
    metadata::Servers servers(tx);
    if (!config_.shared) {
      for (const auto& other : servers.list()) servers.retire(other.epoch, std::nullopt, clock_.now());
    }
    return servers.enter(config_.server_id, clock_.now());
  });
  others_.clear();
  const core::LockGuard lock(mutex_);
  epoch_ = epoch;
  trusted_until_ = began + config_.trust;
  return epoch;
}

void Membership::beat() {
  if (!config_.shared) return;
  std::int64_t epoch = 0;
  {
    const core::LockGuard lock(mutex_);
    epoch = epoch_;
  }
  if (epoch == 0) return;
  const auto began = clock_.steady_now();
  const bool held = database_.write([&](auto& tx) { return metadata::Servers(tx).beat(epoch); });
  {
    const core::LockGuard lock(mutex_);
    if (!held) epoch_ = 0;
    trusted_until_ = began + config_.trust;
  }
  if (held) watch(epoch);
}

void Membership::watch(std::int64_t own) {
  const auto servers = database_.read([](auto& tx) { return metadata::Servers(tx).list(); });
  std::map<std::int64_t, Seen> seen;
  for (const auto& server : servers) {
    if (server.epoch == own) continue;
    // Now, not when the list was asked for: a while too long is safe, one too short is not.
    Seen now{server.beats, clock_.steady_now()};
    const auto before = others_.find(server.epoch);
    if (before != others_.end() && before->second.beats == server.beats) now.since = before->second.since;
    seen.emplace(server.epoch, now);
    if (clock_.steady_now() - now.since < config_.lease) continue;
    const bool retired = database_.write(
        [&](auto& tx) { return metadata::Servers(tx).retire(server.epoch, server.beats, clock_.now()); });
    if (retired) {
      core::log_warning("server.retired", "another server does not beat any more; its work is taken over",
                        {{"server", server.id}, {"epoch", std::to_string(server.epoch)}});
    }
  }
  others_ = std::move(seen);
}

bool Membership::is_valid() const {
  const core::LockGuard lock(mutex_);
  return epoch_ != 0 && (!config_.shared || clock_.steady_now() < trusted_until_);
}

void Membership::leave() {
  std::int64_t epoch = 0;
  {
    const core::LockGuard lock(mutex_);
    std::swap(epoch, epoch_);
  }
  if (epoch == 0) return;
  database_.write([&](auto& tx) { metadata::Servers(tx).retire(epoch, std::nullopt, clock_.now()); });
}

}  // namespace backstay::control
