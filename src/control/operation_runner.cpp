#include "control/operation_runner.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "core/log.h"
#include "metadata/instances.h"
#include "metadata/operations.h"
#include "metadata/servers.h"
#include "metadata/services.h"

namespace backstay::control {
namespace {

constexpr auto kLease = std::chrono::hours(1);
constexpr auto kProgressInterval = std::chrono::milliseconds(250);
constexpr std::int64_t kLongestDelaySeconds = 120;
constexpr std::int64_t kLongestWaitSeconds = 10;

core::Duration retry_delay(std::int64_t failures) {
  const std::int64_t shift = std::min<std::int64_t>(failures - 1, 16);
  return std::chrono::seconds(std::min(std::int64_t{1} << shift, kLongestDelaySeconds));
}

/// Enough to know what it is about: the whole message, with a server's log in it, stays with the operation.
std::string brief(const core::Error& error) {
  constexpr std::size_t kLongest = 400;
  if (error.message().size() <= kLongest) return error.message();
  return error.message().substr(0, kLongest) + " …";
}

std::int64_t failures_so_far(const model::Operation& operation) {
  return core::find_int(operation.error, "failures").value_or(0);
}

/// How a running operation is told to stop, and whether its owner asked for it. Shared with the queue's callback, which
/// may be called while the run ends.
struct Interruption {
  std::stop_source source;
  std::atomic<bool> cancelled = false;
};

}  // namespace

core::json::object error_to_json(const core::Error& error, std::int64_t failures) {
  return {{"code", core::code_name(error.code())},
          {"message", error.message()},
          {"hint", error.hint()},
          {"nextStep", error.hint()},
          {"failures", failures}};
}

/// One run of one operation; lives on one worker's stack. Providers may report from one thread at a time.
class OperationRunner::Run final : public StepContext {
 public:
  Run(OperationRunner& runner, model::Operation operation)
      : runner_(runner), operation_(std::move(operation)), interruption_(std::make_shared<Interruption>()) {
    interruption_->cancelled = operation_.cancel_requested;
    runner_.deps_.queue.on_cancel(operation_.id, [interruption = interruption_] {
      interruption->cancelled = true;
      interruption->source.request_stop();
    });
  }
  ~Run() override { runner_.deps_.queue.forget(operation_.id); }

  [[nodiscard]] bool cancelled() const { return interruption_->cancelled; }
  void interrupt() { interruption_->source.request_stop(); }

  /// The intent: durable before the step runs.
  void begin_step(const Step& step, std::size_t number, std::size_t count) {
    operation_.step = step.name;
    operation_.step_number = static_cast<std::int64_t>(number);
    operation_.steps = static_cast<std::int64_t>(count);
    write_progress({{"phase", step.name}, {"done", 0}, {"total", 0}});
  }

  /// What follows runs to its end although the work itself was stopped.
  void begin_undo() { undo_.emplace(); }

  [[nodiscard]] std::stop_token stop() const override {
    return undo_ ? undo_->get_token() : interruption_->source.get_token();
  }
  [[nodiscard]] const model::Operation& operation() const override { return operation_; }
  core::json::object& result() override { return result_; }

  void progress(std::string_view phase, std::uint64_t done, std::uint64_t total) override {
    const auto now = runner_.deps_.clock.steady_now();
    if (phase == phase_ && now - written_at_ < kProgressInterval && (total == 0 || done < total)) return;
    phase_ = phase;
    written_at_ = now;
    write_progress({{"phase", phase}, {"done", done}, {"total", total}});
  }

  void save(const model::Instance& instance) override {
    runner_.deps_.database.write([&](auto& tx) { metadata::Instances(tx).update(instance); });
  }

  void event(EventKind kind, std::string body) override {
    runner_.deps_.database.write([&](auto& tx) {
      const auto service = metadata::Services(tx).find(operation_.service_id);
      if (service) runner_.deps_.events.record(tx, *service, kind, body, {{"operation.id", operation_.id}});
    });
  }

 private:
  void write_progress(core::json::object progress) {
    operation_.progress = std::move(progress);
    runner_.deps_.database.write([&](auto& tx) {
      metadata::Operations(tx).update_progress(operation_.id, runner_.owner_, operation_.step, operation_.step_number,
                                               operation_.steps, operation_.progress);
    });
    runner_.deps_.queue.feed().notify(operation_.id);
  }

  OperationRunner& runner_;
  model::Operation operation_;
  std::shared_ptr<Interruption> interruption_;
  std::optional<std::stop_source> undo_;
  core::json::object result_;
  std::string phase_;
  core::SteadyTime written_at_;
};

OperationRunner::OperationRunner(RunnerDependencies dependencies, OperationKinds operation_kinds, std::int64_t server)
    : deps_(dependencies),
      kinds_(std::move(operation_kinds)),
      server_(server),
      owner_(metadata::lease_owner(server)),
      running_gauge_(dependencies.metrics.gauge("backstay_control_operations_running", "Operations running now")) {}

bool OperationRunner::run_one(std::stop_token stop, const std::vector<std::string>& only, const std::string& lane) {
  auto claimed = deps_.database.write(
      [&](auto& tx) { return metadata::Operations(tx).claim({server_, deps_.clock.now(), kLease, only, lane}); });
  if (!claimed) return false;
  const std::string id = claimed->id;
  {
    const core::LockGuard lock(mutex_);
    running_.push_back(id);
    running_gauge_.set(static_cast<double>(running_.size()));
  }
  try {
    run(std::move(*claimed), stop);
  } catch (...) {
    // Its end could not be written. It goes back into the queue as soon as the state takes writes again.
    const auto error = core::as_error(std::current_exception());
    core::log_error("operation.not_settled", error.message(), {{"operation", id}});
    const core::LockGuard lock(mutex_);
    unsettled_.push_back(id);
  }
  {
    const core::LockGuard lock(mutex_);
    std::erase(running_, id);
    running_gauge_.set(static_cast<double>(running_.size()));
  }
  deps_.queue.ring();  // its lane is free
  return true;
}

std::vector<std::string> OperationRunner::kinds_but(const std::vector<std::string>& left_out) const {
  std::vector<std::string> names;
  for (const auto& [name, kind] : kinds_) {
    if (std::ranges::find(left_out, name) == left_out.end()) names.push_back(name);
  }
  return names;
}

void OperationRunner::requeue_unsettled() {
  std::vector<std::string> unsettled;
  {
    const core::LockGuard lock(mutex_);
    unsettled = unsettled_;
  }
  for (const auto& id : unsettled) {
    deps_.database.write([&](auto& tx) {
      const auto operation = metadata::Operations(tx).find(id);
      if (!operation || operation->state != model::OperationState::kRunning) return;
      metadata::Operations(tx).requeue(id, owner_, deps_.clock.now(), operation->error);
    });
    const core::LockGuard lock(mutex_);
    std::erase(unsettled_, id);
  }
}

void OperationRunner::heartbeat() {
  requeue_unsettled();
  std::vector<std::string> running;
  {
    const core::LockGuard lock(mutex_);
    running = running_;
  }
  for (const auto& id : running) {
    const bool cancelled = deps_.database.write([&](auto& tx) {
      const auto operation = metadata::Operations(tx).find(id);
      return operation && operation->state == model::OperationState::kRunning && operation->lease_owner == owner_ &&
             metadata::Operations(tx).heartbeat(id, owner_, deps_.clock.now() + kLease);
    });
    // Asked for before the run could be told.
    if (cancelled) deps_.queue.cancel(id);
  }
}

void OperationRunner::run(model::Operation operation, std::stop_token stop) {
  Run run(*this, std::move(operation));
  const auto found = kinds_.find(run.operation().kind);
  const OperationKind* kind = found == kinds_.end() ? nullptr : &found->second;
  const std::stop_callback interrupt(stop, [&run] { run.interrupt(); });
  try {
    if (kind == nullptr) {
      throw core::Error(core::Code::kNotSupported, fmt::format("no work of kind '{}' is known", run.operation().kind));
    }
    std::size_t first = 0;
    for (std::size_t i = 0; i < kind->steps.size(); ++i) {
      if (kind->steps[i].name == run.operation().step) first = i;
    }
    for (std::size_t i = first; i < kind->steps.size(); ++i) {
      if (run.cancelled() || run.stop().stop_requested()) throw core::Error(core::Code::kCancelled, "stopped");
      run.begin_step(kind->steps[i], i, kind->steps.size());
      kind->steps[i].run(run);
    }
  } catch (...) {
    settle(run, kind, core::as_error(std::current_exception()), stop.stop_requested());
    return;
  }
  // Outside: what is done must not be undone because this cannot be written.
  finish(run, model::OperationState::kSucceeded, nullptr, nullptr);
}

bool OperationRunner::is_ours(const model::Operation& operation) {
  return deps_.database.read([&](auto& tx) { return metadata::Operations(tx).is_leased(operation.id, owner_); });
}

void OperationRunner::settle(Run& run, const OperationKind* kind, const core::Error& error, bool stopping) {
  const auto& operation = run.operation();
  // Another server goes on with it: above all nothing may be undone.
  if (!is_ours(operation)) {
    core::log_warning("operation.taken_over", error.message(), {{"operation", operation.id}});
    return;
  }
  const std::int64_t failures = failures_so_far(operation) + 1;
  if (stopping && !run.cancelled()) {
    deps_.database.write(
        [&](auto& tx) { metadata::Operations(tx).requeue(operation.id, owner_, deps_.clock.now(), operation.error); });
    deps_.queue.feed().notify(operation.id);
    return;
  }
  if (!run.cancelled() && error.code() == core::Code::kNotYet) {
    const auto delay = std::chrono::seconds(std::clamp<std::int64_t>(operation.attempts, 1, kLongestWaitSeconds));
    deps_.database.write([&](auto& tx) {
      if (kind != nullptr && kind->on_waiting) kind->on_waiting(tx, operation, error);
      metadata::Operations(tx).requeue(operation.id, owner_, deps_.clock.now() + delay, operation.error);
    });
    deps_.queue.feed().notify(operation.id);
    return;
  }
  if (!run.cancelled() && error.retryable() && kind != nullptr && failures < kind->max_failures) {
    const auto delay = retry_delay(failures);
    run.event(events::kOperationRetrying,
              fmt::format("{}, step '{}': {}; {}; it is tried again in {}", operation.kind, operation.step,
                          brief(error), error.hint(), core::format_duration(delay)));
    deps_.database.write([&](auto& tx) {
      metadata::Operations(tx).requeue(operation.id, owner_, deps_.clock.now() + delay, error_to_json(error, failures));
    });
    deps_.queue.feed().notify(operation.id);
    return;
  }
  if (kind != nullptr && kind->undo) {
    try {
      run.begin_undo();
      kind->undo(run);
    } catch (...) {
      core::log_error("operation.undo_failed", core::as_error(std::current_exception()).message(),
                      {{"operation", operation.id}, {"kind", operation.kind}});
    }
  }
  finish(run, run.cancelled() ? model::OperationState::kCancelled : model::OperationState::kFailed, &error, kind);
}

void OperationRunner::finish(Run& run, model::OperationState state, const core::Error* error,
                             const OperationKind* kind) {
  const auto& operation = run.operation();
  deps_.database.write([&](auto& tx) {
    if (kind != nullptr && state == model::OperationState::kFailed && kind->on_failed) {
      kind->on_failed(tx, operation, *error);
    }
    if (kind != nullptr && state == model::OperationState::kCancelled && kind->on_cancelled) {
      kind->on_cancelled(tx, operation);
    }
    const auto failures = failures_so_far(operation) + (error == nullptr ? 0 : 1);
    metadata::Operations(tx).finish(operation.id, owner_, state, run.result(),
                                    error == nullptr ? core::json::object{} : error_to_json(*error, failures),
                                    deps_.clock.now());
  });
  if (state == model::OperationState::kFailed) {
    core::log_error("operation.failed", error->message(), {{"operation", operation.id}, {"kind", operation.kind}});
    deps_.metrics
        .counter("backstay_control_operations_failed_total", "Operations that failed", {{"kind", operation.kind}})
        .add();
  }
  deps_.queue.feed().notify(operation.id);
}

}  // namespace backstay::control
