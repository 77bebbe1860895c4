#include "providers/rest_provider.h"

#include <map>

#include <fmt/format.h>

#include "core/error.h"
#include "core/mutex.h"
#include "model/backup.h"
#include "model/provider_document.h"
#include "providers/rest_wish.h"

namespace backstay::providers {
namespace {

namespace json = core::json;
using core::Code;
using core::Error;

/// Absences after which a service counts as lost: a backend may need a moment before it lists what it accepted.
constexpr int kLostAfter = 3;
/// Failures after which a backend counts as away: one may be a restart.
constexpr int kAwayAfter = 2;
constexpr auto kFirstRepeat = std::chrono::seconds(10);
constexpr int kMostDoublings = 5;

BackendName name_of(const model::Service& service) { return {service.provider.name, service.provider.version}; }

[[noreturn]] void wait_for(const std::string& what, std::string hint) {
  throw Error(Code::kNotYet, what).with_hint(std::move(hint));
}

bool is_settled(model::ServiceState state) {
  return state == model::ServiceState::kSynchronized || state == model::ServiceState::kPaused;
}

/// The body of every call that is about a backup.
json::object backup_order(const control::ServiceBody& body) {
  const auto& settings = body.service.backups;
  return {{"msId", body.service.id},
          {"teamId", body.service.team_id},
          {"config", settings.config},
          {"secrets", model::reveal_all(settings.secrets)},
          {"retentionDays", settings.retention_days}};
}

class RestProvider final : public control::Provider {
 public:
  RestProvider(RestProviderDependencies deps, PollerConfig config)
      : deps_(std::move(deps)),
        poller_(
            deps_.transport, deps_.clock,
            [this](const BackendName& name) -> std::optional<model::ApiBackend> {
              const auto offer = deps_.find(name.first, name.second);
              return offer ? offer->backend : std::nullopt;
            },
            config) {}

  [[nodiscard]] std::string kind() const override { return std::string(model::kRestKind); }
  [[nodiscard]] bool is_local() const override { return false; }
  [[nodiscard]] std::vector<model::ProviderDefinition> offers() const override { return {}; }
  void check(const model::Service&, const model::Service*) const override {}
  control::RecoveryPlan plan_recovery(const control::RecoveryQuestion& question, const model::Service& wanted) override;

  [[nodiscard]] bool port_usable(std::uint16_t) const override { return true; }
  [[nodiscard]] bool port_taken(const control::ServiceBody&) const override { return false; }
  void provision(const control::ServiceBody& body, control::WorkContext& context) override {
    make(body, nullptr, context);
  }
  void recover(const control::ServiceBody& body, const control::BackupTarget& from, const control::RecoveryPlan& plan,
               control::WorkContext& context) override;
  void apply(const control::ServiceBody& body, control::WorkContext& context) override { settle(body, context); }
  /// The backend keeps its services running by itself.
  void start(const control::ServiceBody&, control::WorkContext&) override {}
  bool pause(const control::ServiceBody& body, control::WorkContext& context) override {
    // Before a deletion, nothing of the service is only here.
    if (body.service.pause) settle(body, context);
    return true;
  }
  void destroy(const control::ServiceBody& body, control::WorkContext& context) override;

  control::Observation observe(const control::ServiceBody& body, bool measure) override;
  void set_read_only(const control::ServiceBody&, bool) override {}
  [[nodiscard]] json::object details(const control::ServiceBody& body, bool ready) const override;

  control::BackupOutcome take_backup(const control::ServiceBody& body, const model::Backup& backup,
                                     control::WorkContext& context) override;
  void confirm_backup(const control::ServiceBody& body, const model::Backup& backup,
                      control::WorkContext& context) override;
  void remove_backup(const control::ServiceBody& body, const model::Backup& backup,
                     control::WorkContext& context) override {
    backend_of(require_offer(body.service)).remove_backup(backup.id, backup_order(body), context.stop());
  }
  model::RecoveryWindow recovery_window(const control::ServiceBody& body) override {
    return {.instance_id = body.instance.id};
  }
  [[nodiscard]] std::optional<control::AtRisk> at_risk(const std::string&) const override { return std::nullopt; }
  std::vector<control::Companion> companions(const control::ServiceBody&) override { return {}; }

 private:
  /// What this process sent last for a service, and when. Lost with the process, which then sends again.
  struct Sent {
    core::SteadyTime at{};
    /// How often the same was sent.
    int times = 0;
    bool deletion = false;
  };

  model::ProviderDefinition require_offer(const model::Service& service) const {
    auto offer = deps_.find(service.provider.name, service.provider.version);
    if (offer && offer->backend) return std::move(*offer);
    throw Error(Code::kUnknownProvider, fmt::format("the provider '{}' version '{}' is not published any more",
                                                    service.provider.name, service.provider.version))
        .with_hint("publish it again");
  }
  RestBackend backend_of(const model::ProviderDefinition& offer) const { return {deps_.transport, *offer.backend}; }

  void make(const control::ServiceBody& body, const json::object* recover_from, control::WorkContext& context);
  void settle(const control::ServiceBody& body, control::WorkContext& context);
  void send_change(const control::ServiceBody& body, const model::ProviderDefinition& offer, const RestWish& wish,
                   const std::optional<Sighting>& seen, control::WorkContext& context);
  /// Returns when the report is the wish, throws not_yet before.
  void await(const control::ServiceBody& body, const RestWish& wish, const std::optional<Sighting>& seen) const;
  /// What was sent and did not help is sent again, ever more rarely.
  bool is_time_to_repeat(const Sent& last) const {
    const auto pause = kFirstRepeat * (1 << std::clamp(last.times - 1, 0, kMostDoublings));
    return deps_.clock.steady_now() - last.at >= pause;
  }
  /// The last sighting that is younger than the last thing that was sent.
  std::optional<Sighting> look(const model::Service& service, bool hurry) const;
  std::optional<Sent> last_sent(const std::string& id) const;
  void note_sent(const std::string& id, bool deletion);
  std::optional<BackendBackup> ask_for_backup(const control::ServiceBody& body, const model::Backup& backup,
                                              bool put_first, const std::stop_token& stop);

  RestProviderDependencies deps_;
  mutable core::Mutex mutex_;
  std::map<std::string, Sent> sent_ GUARDED_BY(mutex_);
  mutable RestBackendPoller poller_;
};

std::optional<RestProvider::Sent> RestProvider::last_sent(const std::string& id) const {
  const core::LockGuard lock(mutex_);
  const auto found = sent_.find(id);
  return found == sent_.end() ? std::nullopt : std::optional(found->second);
}

void RestProvider::note_sent(const std::string& id, bool deletion) {
  const auto now = deps_.clock.steady_now();
  const core::LockGuard lock(mutex_);
  auto& sent = sent_[id];
  sent = {now, sent.deletion == deletion ? sent.times + 1 : 1, deletion};
}

std::optional<Sighting> RestProvider::look(const model::Service& service, bool hurry) const {
  auto seen = poller_.look(name_of(service), service.id, hurry);
  const auto sent = last_sent(service.id);
  if (seen && sent && seen->asked_at < sent->at && seen->failures == 0) return std::nullopt;
  return seen;
}

void RestProvider::make(const control::ServiceBody& body, const json::object* recover_from,
                        control::WorkContext& context) {
  const auto offer = require_offer(body.service);
  const auto seen = look(body.service, true);
  const bool posted = body.instance.facts.contains("sent");
  if (posted && !(seen && seen->absent >= kLostAfter)) return settle(body, context);
  const auto wish = wish_of(body, offer);
  auto request = creation(wish, body.service);
  if (recover_from != nullptr) request["recoverFrom"] = *recover_from;
  context.progress("create", 0, 0);
  backend_of(offer).create(request, context.stop());
  note_sent(body.service.id, false);
  auto instance = body.instance;
  instance.facts["sent"] = fingerprints(wish, body);
  // POST has no pause.
  instance.facts["sent"].as_object()["pause"] = false;
  context.save(instance);
  wait_for("the backend has taken the order", "wait; the backend is asked every few seconds");
}

void RestProvider::recover(const control::ServiceBody& body, const control::BackupTarget&,
                           const control::RecoveryPlan& plan, control::WorkContext& context) {
  auto from = core::require_object(plan.facts, "recoverFrom");
  from["secrets"] = model::reveal_all(plan.secrets);
  make(body, &from, context);
}

void RestProvider::settle(const control::ServiceBody& body, control::WorkContext& context) {
  const auto offer = require_offer(body.service);
  const auto wish = wish_of(body, offer);
  const auto seen = look(body.service, true);
  if (seen && seen->absent >= kLostAfter) {
    wait_for("the backend does not know the service any more",
             "ask the operator of the backend; if the data is lost, recover it from a backup into a new service");
  }
  send_change(body, offer, wish, seen, context);
  await(body, wish, look(body.service, true));
}

void RestProvider::send_change(const control::ServiceBody& body, const model::ProviderDefinition& offer,
                               const RestWish& wish, const std::optional<Sighting>& seen,
                               control::WorkContext& context) {
  const auto* sent = core::find_object(body.instance.facts, "sent");
  const json::object known = sent == nullptr ? json::object{} : *sent;
  const bool is_new = known != fingerprints(wish, body);
  const bool differs = seen && seen->answer.report && !difference(wish, *seen->answer.report).empty();
  if (!is_new && !differs) return;
  if (const auto last = last_sent(body.service.id); !is_new && last && !is_time_to_repeat(*last)) return;
  context.progress("change", 0, 0);
  backend_of(offer).change(body.service.id, change(wish, body, known, seen ? seen->answer.report : std::nullopt),
                           context.stop());
  note_sent(body.service.id, false);
  auto instance = body.instance;
  instance.facts["sent"] = fingerprints(wish, body);
  context.save(instance);
}

void RestProvider::await(const control::ServiceBody& body, const RestWish& wish,
                         const std::optional<Sighting>& seen) const {
  const auto keep_waiting = "wait; the backend is asked every few seconds";
  if (!seen) wait_for("the backend has not answered yet", keep_waiting);
  if (seen->failures > 0) wait_for(seen->failure, "look at the backend and the network to it; Backstay keeps asking");
  if (!seen->answer.report) wait_for("the backend does not list the service yet", keep_waiting);
  const auto& report = *seen->answer.report;
  const auto ready = core::find_bool(report.details, "ready");
  const auto what = difference(wish, report);
  const bool is_ready = wish.pause || ready.value_or(true);
  if (what.empty() && is_ready) return;
  if (!report.error.empty()) {
    wait_for("the backend reports: " + without_secrets(report.error, body.service.secrets),
             "see what the provider says about it; change the config or the plan, or delete the service");
  }
  wait_for(what.empty() ? "the backend says that the service is not ready yet"
                        : "the backend has not put the change into effect: " + what,
           keep_waiting);
}

void RestProvider::destroy(const control::ServiceBody& body, control::WorkContext& context) {
  const auto published = deps_.find(body.service.provider.name, body.service.provider.version);
  if (!published || !published->backend) {
    // Nobody is left who could be told. Nothing was sent, or an order whose answer was lost, or there is all of it.
    if (body.instance.facts.contains("sent")) {
      context.event(
          control::events::kServiceLeftBehind,
          fmt::format("the provider '{}' version '{}' is not published any more, so its backend was not told: "
                      "what it has of the service '{}' must be deleted there by hand",
                      body.service.provider.name, body.service.provider.version, body.service.id));
    }
    return;
  }
  const auto& offer = *published;
  const auto last = last_sent(body.service.id);
  const bool sent = last && last->deletion && !is_time_to_repeat(*last);
  if (!sent) {
    context.progress("remove", 0, 0);
    const bool known = backend_of(offer).remove(body.service.id, context.stop());
    note_sent(body.service.id, true);
    if (!known) return;
  }
  const auto seen = look(body.service, true);
  if (seen && seen->absent > 0) return;
  wait_for("the backend is removing the service", "wait; the backend is asked every few seconds");
}

control::Observation RestProvider::observe(const control::ServiceBody& body, bool) {
  control::Observation observation;
  observation.liveness = control::Liveness::kNotSeen;
  const auto offer = deps_.find(body.service.provider.name, body.service.provider.version);
  if (!offer) return observation;
  const auto seen = look(body.service, !is_settled(body.service.status.state));
  if (!seen) return observation;
  if (seen->failures > 0) {
    if (seen->failures < kAwayAfter) return observation;
    observation.liveness = control::Liveness::kUnreachable;
    observation.reason = seen->failure;
    return observation;
  }
  if (seen->absent > 0) {
    if (seen->absent >= kLostAfter) observation.liveness = control::Liveness::kAbsent;
    return observation;
  }
  const auto& report = *seen->answer.report;
  observation.liveness = control::Liveness::kRunning;
  observation.reason = without_secrets(report.error, body.service.secrets);
  observation.details = report.details;
  observation.drift = difference(wish_of(body, *offer), report);
  return observation;
}

json::object RestProvider::details(const control::ServiceBody& body, bool ready) const {
  const auto seen = poller_.look(name_of(body.service), body.service.id, false);
  auto details = seen && seen->answer.report ? seen->answer.report->details : body.service.status.details;
  if (!ready) details["ready"] = false;
  return details;
}

control::RecoveryPlan RestProvider::plan_recovery(const control::RecoveryQuestion& question,
                                                  const model::Service& wanted) {
  const auto offer = require_offer(wanted);
  if (question.source.provider.name != wanted.provider.name) {
    throw Error(Code::kInvalidArgument, fmt::format("the source is a service of '{}'", question.source.provider.name))
        .with_field("/provider/name", fmt::format("must be '{}'", question.source.provider.name));
  }
  json::object from{{"config", question.config}};
  control::RecoveryPlan plan;
  plan.secrets = question.secrets;
  if (question.backup_id) {
    from["id"] = *question.backup_id;
    plan.description = fmt::format("the backup '{}' at the provider's backend", *question.backup_id);
  } else {
    if (!offer.capabilities.point_in_time_recovery) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("the provider '{}' recovers backups, not points in time", offer.name))
          .with_field("/recoverFrom/msId", "is not possible for this provider; name a backup with 'id'");
    }
    const auto time = question.time.value_or(deps_.clock.now());
    if (time > deps_.clock.now()) {
      throw Error(Code::kRecoveryOutOfReach, fmt::format("'{}' is not past yet", core::format_time(time)))
          .with_field("/recoverFrom/time", "is in the future");
    }
    from["msId"] = question.source.id;
    from["time"] = core::format_time(time);
    plan.description = fmt::format("the service '{}' at {}", question.source.name, core::format_time(time));
  }
  plan.facts["recoverFrom"] = std::move(from);
  return plan;
}

std::optional<BackendBackup> RestProvider::ask_for_backup(const control::ServiceBody& body, const model::Backup& backup,
                                                          bool put_first, const std::stop_token& stop) {
  const auto request = backup_order(body);
  const auto backend = backend_of(require_offer(body.service));
  if (put_first) backend.put_backup(backup.id, request, stop);
  return backend.backup(backup.id, request, stop);
}

control::BackupOutcome RestProvider::take_backup(const control::ServiceBody& body, const model::Backup& backup,
                                                 control::WorkContext& context) {
  context.progress("backend", 0, 0);
  const bool put_first = !last_sent(backup.id);
  const auto status = ask_for_backup(body, backup, put_first, context.stop());
  note_sent(backup.id, false);
  if (!status) {
    // It forgot the order: the next turn gives it again.
    const core::LockGuard lock(mutex_);
    sent_.erase(backup.id);
  } else if (status->exists) {
    control::BackupOutcome outcome;
    outcome.taken_at = outcome.stored_at = deps_.clock.now();
    return outcome;
  } else if (!status->error.empty()) {
    throw Error(Code::kBackendRefused,
                "the backend says: " + without_secrets(without_secrets(status->error, body.service.secrets),
                                                       body.service.backups.secrets));
  }
  wait_for("the backend is taking the backup", "wait; the backend is asked every few seconds");
}

void RestProvider::confirm_backup(const control::ServiceBody& body, const model::Backup& backup,
                                  control::WorkContext& context) {
  const auto status = ask_for_backup(body, backup, false, context.stop());
  if (status && status->exists) return;
  throw Error(Code::kBackendInvalidAnswer, "the backend said that it has the backup, and now that it has not");
}

}  // namespace

std::unique_ptr<control::Provider> make_rest_provider(RestProviderDependencies dependencies, PollerConfig config) {
  return std::make_unique<RestProvider>(std::move(dependencies), config);
}

std::optional<std::string> RestBackendGate::probe(const model::ApiBackend& backend) {
  static_cast<void>(http::parse_url(backend.endpoint));
  try {
    static_cast<void>(RestBackend(transport_, backend).list({}));
  } catch (const Error& error) {
    switch (error.code()) {
      case Code::kBackendUnreachable:
      case Code::kBackendRefused:
      case Code::kBackendInvalidAnswer: return error.message();
      default: throw;
    }
  }
  return std::nullopt;
}

}  // namespace backstay::providers
