#include "control/engine.h"

#include <thread>
#include <vector>

#include "control/companion_supervisor.h"
#include "control/event_log.h"
#include "control/operation_runner.h"
#include "control/reconciler.h"
#include "control/service_operations.h"
#include "core/error.h"
#include "core/log.h"
#include "metadata/operations.h"

namespace backstay::control {

class Engine::Impl {
 public:
  Impl(EngineDependencies dependencies, EngineConfig config)
      : deps_(dependencies),
        config_(config),
        events_(deps_.clock, deps_.random),
        companions_({deps_.database, events_, deps_.clock}),
        runner_({deps_.database, deps_.operations, events_, deps_.clock, deps_.metrics},
                all_kinds({deps_.database, deps_.providers, events_, deps_.clock,
                           [this](const auto& instance) { companions_.retire(instance); }}),
                deps_.random.uuid()),
        reconciler_({deps_.database, deps_.providers, deps_.operations, events_, companions_, deps_.clock, deps_.random,
                     deps_.metrics},
                    config_.measure_every) {}
  ~Impl() { stop(); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void start() {
    const auto abandoned =
        deps_.database.write([&](auto& tx) { return metadata::Operations(tx).requeue_abandoned(deps_.clock.now()); });
    if (abandoned > 0) core::log_info("operations.resumed", fmt::format("{} operations go on", abandoned));
    for (unsigned i = 0; i < config_.workers; ++i) {
      threads_.emplace_back([this](const std::stop_token& stop) { work(stop, {}); });
    }
    // A dead server must not wait for other services' long backups.
    threads_.emplace_back([this](const std::stop_token& stop) { work(stop, {std::string(kinds::kRestart)}); });
    threads_.emplace_back([this](const std::stop_token& stop) { reconcile(stop); });
  }

  void stop() {
    for (auto& thread : threads_) thread.request_stop();
    threads_.clear();
    companions_.stop_all();
  }

 private:
  void work(const std::stop_token& stop, const std::vector<std::string>& only) {
    std::uint64_t heard = 0;
    while (!stop.stop_requested()) {
      bool worked = false;
      try {
        worked = runner_.run_one(stop, only);
      } catch (...) {
        core::log_error("worker.failed", core::as_error(std::current_exception()).message());
      }
      if (!worked) deps_.operations.wait(stop, heard, std::chrono::seconds(1));
    }
  }

  void reconcile(const std::stop_token& stop) {
    do {
      try {
        reconciler_.tick();
        runner_.heartbeat();
      } catch (...) {
        core::log_error("reconciler.failed", core::as_error(std::current_exception()).message());
      }
    } while (deps_.clock.wait(stop, config_.reconcile_every));
  }

  EngineDependencies deps_;
  EngineConfig config_;
  EventLog events_;
  CompanionSupervisor companions_;
  OperationRunner runner_;
  Reconciler reconciler_;
  std::vector<std::jthread> threads_;
};

Engine::Engine(EngineDependencies dependencies, EngineConfig config)
    : impl_(std::make_unique<Impl>(dependencies, config)) {}
Engine::~Engine() = default;
void Engine::start() { impl_->start(); }
void Engine::stop() { impl_->stop(); }

}  // namespace backstay::control
