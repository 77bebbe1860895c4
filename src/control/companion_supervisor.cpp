#include "control/companion_supervisor.h"

#include "core/error.h"
#include "core/log.h"
#include "metadata/instances.h"
#include "metadata/services.h"

namespace backstay::control {
namespace {

constexpr std::int64_t kLongestPauseSeconds = 60;

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

void CompanionSupervisor::reconcile(const std::string& service_id, const std::string& instance_id,
                                    std::vector<Companion> wanted) {
  std::vector<Running> unwanted;  // joined at the end of the scope, outside of the lock
  {
    const core::LockGuard lock(mutex_);
    if (retired_.contains(instance_id)) return;
    for (auto it = running_.lower_bound({instance_id, ""}); it != running_.end() && it->first.first == instance_id;) {
      const bool stays = std::any_of(wanted.begin(), wanted.end(), [&](const Companion& companion) {
        return companion.name == it->first.second && companion.fingerprint == it->second.fingerprint;
      });
      if (!stays) unwanted.push_back(std::move(it->second));
      it = stays ? std::next(it) : running_.erase(it);
    }
  }
  for (auto& gone : unwanted) gone.thread.request_stop();
  unwanted.clear();

  const core::LockGuard lock(mutex_);
  if (retired_.contains(instance_id)) return;
  for (auto& companion : wanted) {
    const Key key{instance_id, companion.name};
    if (running_.contains(key)) continue;
    std::string fingerprint = companion.fingerprint;
    running_.emplace(key, Running{service_id, std::move(fingerprint),
                                  std::jthread([this, service_id, instance_id, companion](const std::stop_token& stop) {
                                    run(stop, service_id, instance_id, companion);
                                  })});
  }
}

void CompanionSupervisor::retire(const std::string& instance_id) {
  {
    const core::LockGuard lock(mutex_);
    retired_.insert(instance_id);
  }
  end([&](const Key& key, const Running& /*running*/) { return key.first == instance_id; });
}

void CompanionSupervisor::release(const std::string& service_id) {
  end([&](const Key& /*key*/, const Running& running) { return running.service_id == service_id; });
}

void CompanionSupervisor::end(const std::function<bool(const Key& key, const Running& running)>& which) {
  std::vector<Running> gone;
  {
    const core::LockGuard lock(mutex_);
    for (auto it = running_.begin(); it != running_.end();) {
      const bool ends = which(it->first, it->second);
      if (ends) gone.push_back(std::move(it->second));
      it = ends ? running_.erase(it) : std::next(it);
    }
  }
  for (auto& running : gone) running.thread.request_stop();
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
