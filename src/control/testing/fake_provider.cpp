#include "control/testing/fake_provider.h"

#include <condition_variable>

#include <fmt/format.h>

#include "model/tier.h"

namespace backstay::control::testing {
namespace {

core::json::object object_schema() { return {{"type", "object"}}; }

model::PlanDefinition small_plan(std::int64_t id, std::int64_t unit) {
  model::PlanDefinition plan;
  plan.id = id;
  plan.name = "plan " + std::to_string(id);
  plan.parameters = {{"storage", "storage-mib", {{"type", "integer"}, {"minimum", 1}, {"default", 10}}, unit},
                     {"cpu", "cpu-tenths", {{"type", "integer"}, {"default", 5}, {"readOnly", true}}, 1},
                     {"memory", "ram-mib", {{"type", "integer"}, {"default", 512}, {"readOnly", true}}, 1}};
  return plan;
}

model::ProviderDefinition offer(const std::string& name, const std::string& version, std::int64_t unit) {
  model::ProviderDefinition made;
  made.name = name;
  made.version = version;
  made.kind = "postgresql";
  made.config_schema = {{"type", "object"},
                        {"properties", {{"max_connections", {{"type", core::json::array{"string", "integer"}}}}}},
                        {"additionalProperties", false}};
  made.secrets_schema = {{"type", "object"}};
  made.details_schema = made.backups_config_schema = made.backups_secrets_schema = object_schema();
  made.plans = {small_plan(0, unit), small_plan(1, unit), small_plan(2, unit)};
  if (name == model::kTieredOffer) {
    for (const auto& tier : model::tiers()) made.plans.push_back(model::plan_of(tier));
  }
  made.capabilities = {.pause = true, .backups = true, .point_in_time_recovery = true};
  return made;
}

}  // namespace

void FakeProvider::fail_next(const std::string& what, core::Error error) {
  const core::LockGuard lock(mutex_);
  failures_[what].push_back(std::move(error));
}

void FakeProvider::on_call(std::function<void(const std::string&, WorkContext&)> hook) {
  const core::LockGuard lock(mutex_);
  hook_ = std::move(hook);
}

void FakeProvider::set_liveness(const std::string& instance_id, Liveness liveness, std::string reason) {
  const core::LockGuard lock(mutex_);
  liveness_[instance_id] = liveness;
  reasons_[instance_id] = std::move(reason);
}

void FakeProvider::set_storage_used(const std::string& instance_id, std::uint64_t bytes) {
  const core::LockGuard lock(mutex_);
  storage_[instance_id] = bytes;
}

void FakeProvider::occupy_port(std::uint16_t port) {
  const core::LockGuard lock(mutex_);
  occupied_ports_.insert(port);
}

void FakeProvider::free_port(std::uint16_t port) {
  const core::LockGuard lock(mutex_);
  occupied_ports_.erase(port);
}

void FakeProvider::set_store_takes_all(bool takes) {
  const core::LockGuard lock(mutex_);
  store_takes_all_ = takes;
}

void FakeProvider::set_at_risk(std::optional<AtRisk> risk) {
  const core::LockGuard lock(mutex_);
  at_risk_ = std::move(risk);
}

void FakeProvider::set_chain(std::optional<model::ChainReport> report) {
  const core::LockGuard lock(mutex_);
  chain_ = std::move(report);
}

void FakeProvider::set_window(model::RecoveryWindow window) {
  const core::LockGuard lock(mutex_);
  window_ = std::move(window);
}

std::vector<std::string> FakeProvider::calls() const {
  const core::LockGuard lock(mutex_);
  return calls_;
}

bool FakeProvider::read_only(const std::string& instance_id) const {
  const core::LockGuard lock(mutex_);
  const auto found = read_only_.find(instance_id);
  return found != read_only_.end() && found->second;
}

std::vector<std::int64_t> FakeProvider::epochs() const {
  const core::LockGuard lock(mutex_);
  return epochs_;
}

void FakeProvider::begin(const std::string& what, const std::string& id, WorkContext& context) {
  std::function<void(const std::string&, WorkContext&)> hook;
  std::optional<core::Error> failure;
  {
    const core::LockGuard lock(mutex_);
    calls_.push_back(what + " " + id);
    hook = hook_;
    auto& failures = failures_[what];
    if (!failures.empty()) {
      failure = failures.front();
      failures.pop_front();
    }
  }
  if (hook) hook(what, context);
  if (failure) throw core::Error(*failure);
}

std::vector<model::ProviderDefinition> FakeProvider::offers() const {
  return {offer("postgresql", "15", 1024), offer("postgres", "v1", 1)};
}

void FakeProvider::check(const model::Service&, const model::Service*) const {}

RecoveryPlan FakeProvider::plan_recovery(const RecoveryQuestion& question, const model::Service&) {
  const core::LockGuard lock(mutex_);
  if (question.time && window_ && !model::can_reach(*window_, *question.time)) {
    throw core::Error(core::Code::kRecoveryOutOfReach,
                      fmt::format("'{}' cannot be reached", core::format_time(*question.time)));
  }
  core::json::object forecast;
  if (!question.instances.empty()) forecast["instanceId"] = question.instances.front().id;
  if (question.backup_id) forecast["backup"] = {{"id", *question.backup_id}};
  return {{{"backup", question.backup_id.value_or("")}}, "a fake archive", {}, std::move(forecast)};
}

bool FakeProvider::port_usable(std::uint16_t port) const {
  const core::LockGuard lock(mutex_);
  return port % 2 == 0 && !occupied_ports_.contains(port);
}

bool FakeProvider::port_taken(const ServiceBody& body) const {
  const core::LockGuard lock(mutex_);
  const auto found = liveness_.find(body.instance.id);
  return (found == liveness_.end() || found->second != Liveness::kRunning) &&
         occupied_ports_.contains(body.instance.port);
}

void FakeProvider::run(const ServiceBody& body) {
  const core::LockGuard lock(mutex_);
  if (occupied_ports_.contains(body.instance.port)) {
    throw core::Error(core::Code::kDatabaseUnavailable, fmt::format("port {} is taken", body.instance.port));
  }
  // What runs keeps its port; nobody else can have it.
  const bool runs = liveness_[body.instance.id] == Liveness::kRunning;
  for (const auto& [id, port] : ports_) {
    const bool other = id != body.instance.id && liveness_[id] == Liveness::kRunning;
    if (!runs && other && port == body.instance.port) {
      throw core::Error(core::Code::kDatabaseUnavailable, fmt::format("'{}' listens on port {}", id, port));
    }
  }
  if (!runs) ports_[body.instance.id] = body.instance.port;
  liveness_[body.instance.id] = Liveness::kRunning;
}

std::map<std::string, std::uint16_t> FakeProvider::running() const {
  const core::LockGuard lock(mutex_);
  std::map<std::string, std::uint16_t> running;
  for (const auto& [id, port] : ports_) {
    if (liveness_.at(id) == Liveness::kRunning) running[id] = port;
  }
  return running;
}

void FakeProvider::provision(const ServiceBody& body, WorkContext& context) {
  begin("provision", body.instance.id, context);
  run(body);
}

void FakeProvider::recover(const ServiceBody& body, const BackupTarget&, const RecoveryPlan&, WorkContext& context) {
  begin("recover", body.instance.id, context);
  run(body);
}

void FakeProvider::apply(const ServiceBody& body, WorkContext& context) {
  begin("apply", body.instance.id, context);
  run(body);
}

void FakeProvider::checkpoint(const ServiceBody& body, WorkContext& context) {
  begin("checkpoint", body.instance.id, context);
}

void FakeProvider::fence(const ServiceBody& body, WorkContext& context) {
  begin("fence", body.instance.id, context);
  set_liveness(body.instance.id, Liveness::kDead, "fenced");
}

void FakeProvider::store_rest(const ServiceBody& body, std::int64_t, WorkContext& context) {
  begin("store_rest", body.instance.id, context);
  const core::LockGuard lock(mutex_);
  if (!store_takes_all_) throw core::Error(core::Code::kUnavailable, "the store does not take the last writes");
}

void FakeProvider::start(const ServiceBody& body, WorkContext& context) {
  begin("start", body.instance.id, context);
  run(body);
}

bool FakeProvider::pause(const ServiceBody& body, WorkContext& context) {
  begin("pause", body.instance.id, context);
  set_liveness(body.instance.id, Liveness::kDead, "paused");
  const core::LockGuard lock(mutex_);
  return store_takes_all_;
}

void FakeProvider::destroy(const ServiceBody& body, WorkContext& context) {
  begin("destroy", body.instance.id, context);
  set_liveness(body.instance.id, Liveness::kAbsent);
}

Observation FakeProvider::observe(const ServiceBody& body, bool measure) {
  const core::LockGuard lock(mutex_);
  Observation seen;
  if (const auto found = liveness_.find(body.instance.id); found != liveness_.end()) seen.liveness = found->second;
  if (const auto found = reasons_.find(body.instance.id); found != reasons_.end()) seen.reason = found->second;
  if (measure) {
    const auto found = storage_.find(body.instance.id);
    seen.storage_used = found == storage_.end() ? 0 : found->second;
  }
  if (elsewhere_) seen.details = core::json::object{{"ready", true}};
  return seen;
}

void FakeProvider::set_read_only(const ServiceBody& body, bool read_only) {
  const core::LockGuard lock(mutex_);
  read_only_[body.instance.id] = read_only;
}

core::json::object FakeProvider::details(const ServiceBody& body, bool ready) const {
  return {{"hostname", "127.0.0.1"},
          {"port", body.instance.port},
          {"dsn", fmt::format("postgresql://app@127.0.0.1:{}/app?sslmode=require", body.instance.port)},
          {"ready", ready}};
}

core::json::object FakeProvider::import_dump(const ServiceBody& /*body*/, const ImportTask& task,
                                             WorkContext& context) {
  const auto known = [&] {
    const core::LockGuard lock(mutex_);
    return loaded_.contains(task.mark);
  }();
  if (known) return {{"loadedBefore", true}};
  begin("import_dump", task.path + task.spooled + task.format, context);
  task.note("transaction of " + task.id);
  {
    const core::LockGuard lock(mutex_);
    loaded_.insert("transaction of " + task.id);
  }
  begin("import_done", task.id, context);
  return {{"format", "plain"}, {"bytes", 9}, {"statements", 1}};
}

BackupOutcome FakeProvider::take_backup(const ServiceBody& body, const model::Backup& backup, WorkContext& context) {
  begin("take_backup", backup.id, context);
  BackupOutcome outcome;
  outcome.taken_at = outcome.stored_at = *backup.initiated_at;
  outcome.timeline = 1;
  outcome.start_lsn = 0x2000028;
  outcome.stop_lsn = 0x2000100;
  outcome.data_bytes = 30 << 20;
  outcome.stored_bytes = 4 << 20;
  const core::LockGuard lock(mutex_);
  if (!window_) window_ = {body.instance.id, backup.destination_id, outcome.taken_at, std::nullopt, {}};
  window_->latest = outcome.taken_at;
  return outcome;
}

void FakeProvider::confirm_backup(const ServiceBody&, const model::Backup& backup, WorkContext& context) {
  begin("confirm_backup", backup.id, context);
}

std::optional<std::string> FakeProvider::verification_problem(const model::Instance& instance,
                                                              const model::Backup& backup) const {
  if (!is_local()) return Provider::verification_problem(instance, backup);
  const core::LockGuard lock(mutex_);
  if (backup.mechanism == model::BackupMechanism::kLogical && !loads_dumps_) return "there is no pg_restore";
  return std::nullopt;
}

VerifiedRestore FakeProvider::verify_backup(const ServiceBody&, const model::Backup& backup, std::uint32_t uid,
                                            WorkContext& context) {
  begin("verify_backup", backup.id, context);
  const core::LockGuard lock(mutex_);
  VerifiedRestore found;
  found.problem = finding_;
  if (!finding_.empty()) found.next_step = "take another backup";
  found.first_query_time = std::chrono::seconds(1);
  found.recovery_time = std::chrono::seconds(2);
  found.checks = {{"uid", uid}};
  return found;
}

void FakeProvider::load_dumps(bool can) {
  const core::LockGuard lock(mutex_);
  loads_dumps_ = can;
}

void FakeProvider::set_finding(std::string problem) {
  const core::LockGuard lock(mutex_);
  finding_ = std::move(problem);
}

void FakeProvider::move_elsewhere() {
  const core::LockGuard lock(mutex_);
  elsewhere_ = true;
}

bool FakeProvider::is_local() const {
  const core::LockGuard lock(mutex_);
  return !elsewhere_;
}

void FakeProvider::remove_backup(const ServiceBody&, const model::Backup& backup, WorkContext& context) {
  begin("remove_backup", backup.id, context);
}

void FakeProvider::set_window_of_instance(model::RecoveryWindow window) {
  const core::LockGuard lock(mutex_);
  windows_[window.instance_id] = std::move(window);
}

model::RecoveryWindow FakeProvider::recovery_window(const ServiceBody& body) {
  const core::LockGuard lock(mutex_);
  if (const auto found = windows_.find(body.instance.id); found != windows_.end()) return found->second;
  return window_.value_or(
      model::RecoveryWindow{.instance_id = body.instance.id, .destination_id = body.instance.destination_id});
}

void FakeProvider::set_stores_empty(bool empty) {
  const core::LockGuard lock(mutex_);
  stores_empty_ = empty;
}

RetentionOutcome FakeProvider::apply_retention(const BackupTarget& at, const model::RetentionQuestion& question,
                                               const RemovalTerms& terms, WorkContext& context) {
  begin("apply_retention", at.destination.id, context);
  RetentionOutcome outcome{.decision = model::decide_retention(question)};
  begin("decide", at.destination.id, context);
  if (terms.decided) terms.decided(question, outcome.decision);
  begin("condemn", at.destination.id, context);
  const auto now = question.now.front();
  const core::LockGuard lock(mutex_);
  for (std::size_t i = 0; i < question.backups.size(); ++i) {
    const auto& backup = question.backups[i];
    if (!outcome.decision.backups[i].goes) continue;
    const auto at_first = condemned_.try_emplace(backup.id, now).first->second;
    (backup.stored && now - at_first < terms.grace ? outcome.condemned : outcome.gone).insert(backup.id);
  }
  outcome.empty = question.deleted && outcome.gone.size() == question.backups.size();
  return outcome;
}

bool FakeProvider::remove_garbage(const BackupTarget& at, const RemovalTerms&, WorkContext& context) {
  begin("remove_garbage", at.destination.id, context);
  const core::LockGuard lock(mutex_);
  return stores_empty_;
}

std::optional<model::ChainReport> FakeProvider::chain(const std::string&) const {
  const core::LockGuard lock(mutex_);
  return chain_;
}

std::optional<AtRisk> FakeProvider::at_risk(const std::string&) const {
  const core::LockGuard lock(mutex_);
  return at_risk_;
}

std::vector<Companion> FakeProvider::companions(const ServiceBody& body) {
  if (!body.service.backups.enabled) return {};
  return {{"wal-receiver", body.instance.destination_id,
           [this](const std::stop_token& stop, std::int64_t epoch, CompanionReporter&) {
             {
               const core::LockGuard lock(mutex_);
               epochs_.push_back(epoch);
             }
             std::mutex mutex;
             std::condition_variable_any never;
             std::unique_lock lock(mutex);
             never.wait(lock, stop, [] { return false; });
           }}};
}

void FakeBackendGate::refuse(core::Error error) {
  const core::LockGuard lock(mutex_);
  refusal_ = std::move(error);
}

void FakeBackendGate::silence(std::string reason) {
  const core::LockGuard lock(mutex_);
  silence_ = std::move(reason);
}

int FakeBackendGate::probes() const {
  const core::LockGuard lock(mutex_);
  return probes_;
}

std::optional<std::string> FakeBackendGate::probe(const model::ApiBackend&) {
  const core::LockGuard lock(mutex_);
  ++probes_;
  if (refusal_) throw core::Error(*refusal_);
  return silence_;
}

void FakeStoreGate::refuse(std::string message) {
  const core::LockGuard lock(mutex_);
  refusal_ = std::move(message);
}

void FakeStoreGate::check(const model::Destination& destination) {
  if (destination.endpoint_url.empty() || destination.endpoint_url.find("://") != std::string::npos) return;
  throw core::Error(core::Code::kInvalidArgument, "the endpoint has no scheme")
      .with_field("/endpointUrl", "has no scheme");
}

std::vector<ProbeCheck> FakeStoreGate::probe(const model::Destination&) {
  const core::LockGuard lock(mutex_);
  if (refusal_) throw core::Error(core::Code::kStoreRefused, *refusal_);
  return {{"put", true, true, "an object was written"}};
}

bool FakeStoreGate::holds_repository(const model::Destination& destination, const std::string& repository_id) {
  const core::LockGuard lock(mutex_);
  const auto found = repositories_.find(destination.url);
  return found != repositories_.end() && found->second == repository_id;
}

void FakeStoreGate::hold_repository(const std::string& url, const std::string& repository_id) {
  const core::LockGuard lock(mutex_);
  repositories_[url] = repository_id;
}

std::string FakeStoreGate::recovery_kit(const model::Team& team, const std::vector<model::Destination>&) const {
  return "recovery key: " + team.recovery_key.reveal() + "\n";
}

core::Secret FakeStoreGate::make_recovery_key() {
  const core::LockGuard lock(mutex_);
  return core::Secret("fake-key-" + std::to_string(++keys_));
}

}  // namespace backstay::control::testing
