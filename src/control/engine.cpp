#include "control/engine.h"

#include <set>
#include <string>
#include <thread>
#include <vector>

#include "control/companion_supervisor.h"
#include "control/event_log.h"
#include "control/former_instances.h"
#include "control/housekeeping.h"
#include "control/operation_runner.h"
#include "control/reconciler.h"
#include "control/retention_schedule.h"
#include "control/schedule_runner.h"
#include "control/service_operations.h"
#include "control/verification_commands.h"
#include "control/verification_schedule.h"
#include "control/webhook_dispatch.h"
#include "core/error.h"
#include "core/log.h"
#include "metadata/servers.h"

namespace backstay::control {
namespace {

constexpr auto kBeatEvery = std::chrono::seconds(1);
constexpr auto kNotifyEvery = std::chrono::milliseconds(500);
constexpr auto kWatchEvery = std::chrono::milliseconds(250);
constexpr std::size_t kReleasedAtOnce = 20;
constexpr unsigned kTidyingWorkers = 2;
constexpr unsigned kImportWorkers = 2;

}  // namespace

/// What works under one epoch: made when the server has entered, destroyed (which stops it and waits) when it leaves or
/// has lost its leases.
class Engine::Life {
 public:
  Life(const EngineDependencies& dependencies, const EngineConfig& config, std::int64_t epoch)
      : deps_(dependencies),
        config_(config),
        epoch_(epoch),
        database_(deps_.database.fenced(epoch)),
        events_(deps_.clock, deps_.random),
        companions_({*database_, events_, deps_.clock}),
        runner_({*database_, deps_.operations, events_, deps_.clock, deps_.metrics},
                all_kinds({.database = *database_,
                           .providers = deps_.providers,
                           .events = events_,
                           .clock = deps_.clock,
                           .random = deps_.random,
                           .ports = config_.ports,
                           .operations = deps_.operations,
                           .stop_companions = [this](const auto& instance) { companions_.retire(instance); },
                           .readmit_companions = [this](const auto& instance) { companions_.readmit(instance); },
                           .removal_grace = config_.removal_grace,
                           .rollback_grace = config_.rollback_grace,
                           .spool = deps_.spool,
                           .first_uid = config_.first_uid,
                           .last_uid = config_.last_uid}),
                epoch),
        reconciler_({*database_, deps_.providers, deps_.operations, events_, companions_, deps_.clock, deps_.random,
                     deps_.metrics, epoch},
                    {config_.measure_every, config_.behind_after, config_.reconcile_every}),
        housekeeping_(*database_, deps_.clock, config_.keep_history),
        retention_(*database_, deps_.operations, deps_.clock, epoch),
        former_(*database_, deps_.operations, deps_.clock, epoch),
        schedules_(*database_, {deps_.operations, events_, deps_.clock, deps_.random}, epoch),
        verifications_(*database_, deps_.providers, deps_.operations, deps_.clock, epoch,
                       {config_.verify_every, config_.verify_nth}) {
    // What tidies stores has workers of its own: nobody waits for it, and a store that hangs holds its worker for long.
    const std::vector<std::string> tidying{std::string(kinds::kRetention), std::string(kinds::kPrune)};
    const std::vector<std::string> verifying{std::string(kinds::kVerify)};
    // A dump may come slowly from wherever a client says.
    const std::vector<std::string> importing{std::string(kinds::kImport)};
    auto aside = tidying;
    aside.insert(aside.end(), verifying.begin(), verifying.end());
    aside.insert(aside.end(), importing.begin(), importing.end());
    add_workers(config_.workers, runner_.kinds_but(aside));
    add_workers(kTidyingWorkers, tidying);
    add_workers(kImportWorkers, importing);
    add_workers(1, verifying, {std::string(kPolicyLane), std::string(kAskedLane)});
    // A dead server must not wait for other services' long backups.
    add_workers(1, {std::string(kinds::kRestart)});
    threads_.emplace_back([this](const std::stop_token& stop) { reconcile(stop); });
    if (deps_.notifier != nullptr) threads_.emplace_back([this](const std::stop_token& stop) { notify(stop); });
  }
  ~Life() {
    for (auto& thread : threads_) thread.request_stop();
    threads_.clear();
    companions_.stop_all();
  }
  Life(const Life&) = delete;
  Life& operator=(const Life&) = delete;

 private:
  using Names = std::vector<std::string>;

  /// Lanes that are named take turns.
  void add_workers(unsigned count, const Names& kinds, const Names& lanes = {""}) {
    for (unsigned i = 0; i < count; ++i) {
      threads_.emplace_back([this, kinds, lanes](const std::stop_token& stop) { work(stop, kinds, lanes); });
    }
  }

  void work(const std::stop_token& stop, const Names& only, const Names& lanes) {
    std::uint64_t heard = 0;
    while (!stop.stop_requested()) {
      bool worked = false;
      try {
        for (const auto& lane : lanes) {
          if (!stop.stop_requested()) worked = runner_.run_one(stop, only, lane) || worked;
        }
      } catch (...) {
        core::log_error("worker.failed", core::as_error(std::current_exception()).message());
      }
      if (!worked) deps_.operations.wait(stop, heard, std::chrono::seconds(1));
    }
  }

  /// Of the servers that share the state, the one that came first does it.
  void notify(const std::stop_token& stop) {
    WebhookDispatch dispatch({*database_, *deps_.notifier, deps_.clock, deps_.random});
    bool more = false;
    do {
      more = false;
      try {
        const auto servers = database_->read([](auto& tx) { return metadata::Servers(tx).list(); });
        if (!servers.empty() && servers.front().epoch == epoch_) more = dispatch.turn(stop);
      } catch (...) {
        core::log_error("notifier.failed", core::as_error(std::current_exception()).message());
      }
    } while (deps_.clock.wait(stop, more ? core::Duration(0) : core::Duration(kNotifyEvery)));
  }

  void reconcile(const std::stop_token& stop) {
    bool more = false;
    do {
      more = false;
      try {
        give_up_excess();
        more = reconciler_.tick();
        runner_.heartbeat();
        housekeeping_.tick();
        retention_.tick();
        former_.tick();
        schedules_.tick();
        verifications_.tick();
      } catch (...) {
        core::log_error("reconciler.failed", core::as_error(std::current_exception()).message());
      }
    } while (deps_.clock.wait(stop, more ? core::Duration(0) : core::Duration(config_.reconcile_every)));
  }

  /// A server that came later gets its share, a few services at a time, each once what runs beside it has ended.
  void give_up_excess() {
    if (!config_.membership.shared) return;
    const auto services = database_->read([&](auto& tx) {
      metadata::Servers servers(tx);
      const auto excess = servers.excess(epoch_);
      return excess == 0 ? std::vector<std::string>{}
                         : servers.idle_services(epoch_, std::min(excess, kReleasedAtOnce));
    });
    for (const auto& service : services) {
      reconciler_.forget(service);
      leaving_.insert(service);
    }
    std::erase_if(leaving_, [&](const auto& service) {
      const bool ended = companions_.release(service);
      if (ended) give_up(service);
      return ended;
    });
  }

  void give_up(const std::string& service) {
    const bool released = database_->write([&](auto& tx) { return metadata::Servers(tx).release(service, epoch_); });
    // Work began meanwhile: it stays, and what ran beside it is started again.
    if (!released) reconciler_.hurry(service);
  }

  const EngineDependencies& deps_;
  const EngineConfig& config_;
  const std::int64_t epoch_;
  std::unique_ptr<metadata::Database> database_;
  EventLog events_;
  CompanionSupervisor companions_;
  OperationRunner runner_;
  Reconciler reconciler_;
  Housekeeping housekeeping_;
  std::set<std::string> leaving_;
  RetentionSchedule retention_;
  FormerInstances former_;
  ScheduleRunner schedules_;
  VerificationSchedule verifications_;
  std::vector<std::jthread> threads_;
};

class Engine::Impl {
 public:
  Impl(EngineDependencies dependencies, EngineConfig config)
      : deps_(dependencies), config_(std::move(config)), membership_(deps_.database, deps_.clock, config_.membership) {}
  ~Impl() { stop(); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void start() {
    life_ = std::make_unique<Life>(deps_, config_, membership_.join());
    if (!membership_.is_shared()) return;
    beating_ = std::jthread([this](const std::stop_token& stop) { beat(stop); });
    watching_ = std::jthread([this](const std::stop_token& stop) { watch(stop); });
  }

  void stop() {
    beating_ = {};
    watching_ = {};
    if (!life_) return;
    life_.reset();
    try {
      membership_.leave();
    } catch (...) {
      // Others notice when the beats stand still.
      core::log_warning("server.leave_failed", core::as_error(std::current_exception()).message());
    }
  }

 private:
  void beat(const std::stop_token& stop) {
    do {
      try {
        membership_.beat();
      } catch (...) {
        core::log_error("server.beat_failed", core::as_error(std::current_exception()).message());
      }
    } while (deps_.clock.wait(stop, kBeatEvery));
  }

  /// Besides beat(), which waits as long as the state does.
  void watch(const std::stop_token& stop) {
    while (deps_.clock.wait(stop, kWatchEvery)) {
      if (membership_.is_valid()) continue;
      if (life_) {
        core::log_error("server.lease_lost", "the leases cannot be relied on any more; all work stops until they can");
        life_.reset();
      }
      try {
        life_ = std::make_unique<Life>(deps_, config_, membership_.join());
        core::log_info("server.rejoined", "the work goes on");
      } catch (...) {
        core::log_error("server.rejoin_failed", core::as_error(std::current_exception()).message());
      }
    }
  }

  EngineDependencies deps_;
  EngineConfig config_;
  Membership membership_;
  std::unique_ptr<Life> life_;
  std::jthread beating_;
  std::jthread watching_;
};

Engine::Engine(EngineDependencies dependencies, EngineConfig config)
    : impl_(std::make_unique<Impl>(dependencies, std::move(config))) {}
Engine::~Engine() = default;
void Engine::start() { impl_->start(); }
void Engine::stop() { impl_->stop(); }

}  // namespace backstay::control
