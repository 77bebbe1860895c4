#include "control/companion_supervisor.h"

#include <algorithm>

#include "core/error.h"
#include "core/log.h"
#include "metadata/instances.h"
#include "metadata/services.h"

namespace backstay::control {
namespace {

constexpr std::int64_t kLongestPauseSeconds = 60;
constexpr auto kRetiredIsRemembered = std::chrono::minutes(10);

class Reporter final : public CompanionReporter {
 public:
  Reporter(const SupervisorDependencies& deps, std::string service_id)
      : deps_(deps), service_id_(std::move(service_id)) {}

  void event(EventKind kind, std::string body) override {
    deps_.database.write([&](auto& tx) {
      if (const auto service = metadata::Services(tx).find(service_id_)) {
        deps_.events.record(tx, *service, kind, body);
      }
    });
  }

 private:
  const SupervisorDependencies& deps_;
  std::string service_id_;
};

}  // namespace

CompanionSupervisor::~CompanionSupervisor() { stop_all(); }

bool CompanionSupervisor::reconcile(const std::string& service_id, const std::string& instance_id,
                                    const std::vector<Companion>& wanted) {
  std::vector<std::stop_source> told;
  {
    const core::LockGuard lock(mutex_);
    if (retired_.contains(instance_id)) return true;
    for (auto it = running_.lower_bound({instance_id, ""}); it != running_.end() && it->first.first == instance_id;) {
      it = stays(*it, wanted) ? std::next(it) : leave(it, told);
    }
    for (const auto& companion : wanted) {
      const Key key{instance_id, companion.name};
      if (!running_.contains(key)) start(service_id, key, companion);
    }
  }
  for (auto& companion : told) companion.request_stop();
  return told.empty();
}

/// One that was told to end does not stay, even if it is wanted again.
bool CompanionSupervisor::stays(const std::pair<const Key, Running>& running, const std::vector<Companion>& wanted) {
  return !running.second.thread.get_stop_token().stop_requested() &&
         std::ranges::any_of(wanted, [&](const Companion& companion) {
           return companion.name == running.first.second && companion.fingerprint == running.second.fingerprint;
         });
}

CompanionSupervisor::Place CompanionSupervisor::leave(Place place, std::vector<std::stop_source>& told) {
  // Joining what has ended takes no time.
  if (*place->second.ended) return running_.erase(place);
  told.push_back(place->second.thread.get_stop_source());
  return std::next(place);
}

void CompanionSupervisor::start(const std::string& service_id, const Key& key, const Companion& companion) {
  Running running;
  running.service_id = service_id;
  running.fingerprint = companion.fingerprint;
  running.thread = std::jthread(
      [this, service_id, instance_id = key.first, companion, ended = running.ended.get()](const std::stop_token& stop) {
        run(stop, service_id, instance_id, companion);
        *ended = true;
      });
  running_.emplace(key, std::move(running));
}

void CompanionSupervisor::retire(const std::string& instance_id) {
  std::vector<Running> gone;  // joined at the end of the scope, outside of the lock
  const auto now = deps_.clock.steady_now();
  const core::LockGuard lock(mutex_);
  std::erase_if(retired_, [&](const auto& known) { return now - known.second > kRetiredIsRemembered; });
  retired_[instance_id] = now;
  for (auto it = running_.lower_bound({instance_id, ""}); it != running_.end() && it->first.first == instance_id;) {
    gone.push_back(std::move(it->second));
    it = running_.erase(it);
  }
}

void CompanionSupervisor::readmit(const std::string& instance_id) {
  const core::LockGuard lock(mutex_);
  retired_.erase(instance_id);
}

bool CompanionSupervisor::release(const std::string& service_id) {
  std::vector<std::stop_source> told;
  {
    const core::LockGuard lock(mutex_);
    for (auto it = running_.begin(); it != running_.end();) {
      it = it->second.service_id == service_id ? leave(it, told) : std::next(it);
    }
  }
  for (auto& companion : told) companion.request_stop();
  return told.empty();
}

void CompanionSupervisor::stop_all() {
  std::map<Key, Running> gone;
  {
    const core::LockGuard lock(mutex_);
    gone.swap(running_);
  }
  for (auto& [key, running] : gone) running.thread.request_stop();
}

void CompanionSupervisor::run(const std::stop_token& stop, const std::string& service_id,
                              const std::string& instance_id, const Companion& companion) {
  Reporter reporter(deps_, service_id);
  for (std::int64_t failures = 0; !stop.stop_requested();) {
    const auto began = deps_.clock.steady_now();
    try {
      const auto epoch =
          deps_.database.write([&](auto& tx) { return metadata::Instances(tx).next_epoch(instance_id); });
      companion.run(stop, epoch, reporter);
    } catch (...) {
      core::log_error("companion.failed", core::as_error(std::current_exception()).message(),
                      {{"companion", companion.name}, {"service", service_id}, {"instance", instance_id}});
    }
    if (stop.stop_requested()) return;
    // One that ran well for a while begins again without a long pause.
    if (deps_.clock.steady_now() - began > std::chrono::minutes(10)) failures = 0;
    const std::int64_t pause =
        std::min(std::int64_t{1} << std::min<std::int64_t>(failures++, 10), kLongestPauseSeconds);
    deps_.clock.wait(stop, std::chrono::seconds(pause));
  }
}

}  // namespace backstay::control
