#include "control/testing/control_world.h"

#include <algorithm>
#include <atomic>

#include "control/membership.h"
#include "control/service_operations.h"
#include "core/random.h"
#include "core/testing/seed.h"
#include "metadata/teams.h"

namespace backstay::control::testing {
namespace {

namespace fs = std::filesystem;

constexpr PortRange kPorts{20000, 20999};
constexpr std::uint32_t kFirstUid = 70000;
constexpr std::uint32_t kLastUid = 70999;

/// The registry owns its providers; the fake is shared with the test.
class Borrowed final : public Provider {
 public:
  explicit Borrowed(std::shared_ptr<FakeProvider> fake) : fake_(std::move(fake)) {}
  [[nodiscard]] std::string kind() const override { return fake_->kind(); }
  [[nodiscard]] std::vector<model::ProviderDefinition> offers() const override { return fake_->offers(); }
  [[nodiscard]] bool is_local() const override { return fake_->is_local(); }
  void remove_backup(const ServiceBody& body, const model::Backup& backup, WorkContext& context) override {
    fake_->remove_backup(body, backup, context);
  }
  void check(const model::Service& wanted, const model::Service* before) const override {
    fake_->check(wanted, before);
  }
  RecoveryPlan plan_recovery(const RecoveryQuestion& question, const model::Service& wanted) override {
    return fake_->plan_recovery(question, wanted);
  }
  [[nodiscard]] bool port_usable(std::uint16_t port) const override { return fake_->port_usable(port); }
  [[nodiscard]] bool port_taken(const ServiceBody& body) const override { return fake_->port_taken(body); }
  void provision(const ServiceBody& body, WorkContext& context) override { fake_->provision(body, context); }
  void recover(const ServiceBody& body, const BackupTarget& from, const RecoveryPlan& plan,
               WorkContext& context) override {
    fake_->recover(body, from, plan, context);
  }
  void apply(const ServiceBody& body, WorkContext& context) override { fake_->apply(body, context); }
  void start(const ServiceBody& body, WorkContext& context) override { fake_->start(body, context); }
  bool pause(const ServiceBody& body, WorkContext& context) override { return fake_->pause(body, context); }
  void checkpoint(const ServiceBody& body, WorkContext& context) override { fake_->checkpoint(body, context); }
  void fence(const ServiceBody& body, WorkContext& context) override { fake_->fence(body, context); }
  void store_rest(const ServiceBody& body, std::int64_t epoch, WorkContext& context) override {
    fake_->store_rest(body, epoch, context);
  }
  void destroy(const ServiceBody& body, WorkContext& context) override { fake_->destroy(body, context); }
  Observation observe(const ServiceBody& body, bool measure) override { return fake_->observe(body, measure); }
  void set_read_only(const ServiceBody& body, bool read_only) override { fake_->set_read_only(body, read_only); }
  [[nodiscard]] core::json::object details(const ServiceBody& body, bool ready) const override {
    return fake_->details(body, ready);
  }
  BackupOutcome take_backup(const ServiceBody& body, const model::Backup& backup, WorkContext& context) override {
    return fake_->take_backup(body, backup, context);
  }
  void confirm_backup(const ServiceBody& body, const model::Backup& backup, WorkContext& context) override {
    fake_->confirm_backup(body, backup, context);
  }
  [[nodiscard]] std::optional<std::string> import_problem(const model::Instance& instance) const override {
    return fake_->import_problem(instance);
  }
  core::json::object import_dump(const ServiceBody& body, const ImportTask& task, WorkContext& context) override {
    return fake_->import_dump(body, task, context);
  }
  [[nodiscard]] std::optional<std::string> verification_problem(const model::Instance& instance,
                                                                const model::Backup& backup) const override {
    return fake_->verification_problem(instance, backup);
  }
  VerifiedRestore verify_backup(const ServiceBody& body, const model::Backup& backup, std::uint32_t uid,
                                WorkContext& context) override {
    return fake_->verify_backup(body, backup, uid, context);
  }
  model::RecoveryWindow recovery_window(const ServiceBody& body) override { return fake_->recovery_window(body); }
  RetentionOutcome apply_retention(const BackupTarget& at, const model::RetentionQuestion& question,
                                   const RemovalTerms& terms, WorkContext& context) override {
    return fake_->apply_retention(at, question, terms, context);
  }
  bool remove_garbage(const BackupTarget& at, const RemovalTerms& terms, WorkContext& context) override {
    return fake_->remove_garbage(at, terms, context);
  }
  [[nodiscard]] std::optional<AtRisk> at_risk(const std::string& id) const override { return fake_->at_risk(id); }
  [[nodiscard]] std::optional<model::ChainReport> chain(const std::string& id) const override {
    return fake_->chain(id);
  }
  std::vector<Companion> companions(const ServiceBody& body) override { return fake_->companions(body); }

 private:
  std::shared_ptr<FakeProvider> fake_;
};

std::vector<std::unique_ptr<Provider>> only(std::shared_ptr<FakeProvider> fake) {
  std::vector<std::unique_ptr<Provider>> providers;
  providers.push_back(std::make_unique<Borrowed>(std::move(fake)));
  return providers;
}

/// A process that goes on with the state of one before draws other ids.
std::uint64_t next_seed() {
  static std::atomic<std::uint64_t> worlds{0};
  return core::testing::seed() + (worlds++ << 32U);
}

fs::path new_directory() { return fs::temp_directory_path() / ("backstay-control-" + core::SystemRandom().token(12)); }

}  // namespace

ControlWorld::ControlWorld(const fs::path& wanted, std::shared_ptr<FakeProvider> shared)
    : random(next_seed()),
      directory(wanted.empty() ? new_directory() : wanted),
      provider(shared ? std::move(shared) : std::make_shared<FakeProvider>()),
      owns_directory_(wanted.empty()) {
  fs::create_directories(directory);
  database = metadata::Database::open({.file = directory / "state.db", .key = {}}, random);
  registry = std::make_unique<ProviderRegistry>(only(provider));
  server = Membership(*database, clock, {}).join();
  queue = std::make_unique<OperationQueue>(clock, random, feed);
  log = std::make_unique<EventLog>(clock, random);
  commands = std::make_unique<ServiceCommands>(CommandDependencies{*database, *registry, *queue, gate, clock, random},
                                               CommandConfig{kPorts, kFirstUid, kLastUid});
  imports = std::make_unique<ImportCommands>(ImportDependencies{*database, *registry, *queue, spool, clock, random});
  provider_commands =
      std::make_unique<ProviderCommands>(ProviderCommandDependencies{*database, *registry, backends, clock, random});
  schedule_commands = std::make_unique<ScheduleCommands>(
      ScheduleCommandDependencies{*database, *registry, gate, *commands, clock, random});
  queries = std::make_unique<Queries>(*database, *registry);
  companions = std::make_unique<CompanionSupervisor>(SupervisorDependencies{*database, *log, clock});
  runner = std::make_unique<OperationRunner>(
      RunnerDependencies{*database, *queue, *log, clock, metrics},
      all_kinds({.database = *database,
                 .providers = *registry,
                 .events = *log,
                 .clock = clock,
                 .random = random,
                 .ports = kPorts,
                 .operations = *queue,
                 .stop_companions = [this](const auto& id) { companions->retire(id); },
                 .readmit_companions = [this](const auto& id) { companions->readmit(id); },
                 .spool = &spool,
                 .first_uid = kFirstUid,
                 .last_uid = kLastUid}),
      server);
  reconciler = std::make_unique<Reconciler>(
      ReconcilerDependencies{*database, *registry, *queue, *log, *companions, clock, random, metrics, server},
      ReconcilerConfig{});
  retention = std::make_unique<RetentionSchedule>(*database, *queue, clock, server);
  former = std::make_unique<FormerInstances>(*database, *queue, clock, server);
  schedules = std::make_unique<ScheduleRunner>(*database, ScheduleDependencies{*queue, *log, clock, random}, server);
  admin.token_name = "test";
  admin.admin = admin.may_read = admin.may_write = admin.all_teams = true;
  commands->bootstrap();
  team_id = database->read([](auto& tx) { return metadata::Teams(tx).list().front().id; });
}

ControlWorld::~ControlWorld() {
  companions->stop_all();
  if (!owns_directory_) return;
  std::error_code ignored;
  fs::remove_all(directory, ignored);
}

CreateServiceRequest ControlWorld::create_request(const std::string& name) const {
  CreateServiceRequest request;
  request.team_id = team_id;
  request.name = name;
  request.provider = {"postgresql", "15"};
  request.plan = {1, {{"storage", 10}}};
  request.config = {{"max_connections", "100"}};
  request.secrets["password"] = core::Secret("correct horse");
  return request;
}

BackupsRequest ControlWorld::backups_request() const {
  BackupsRequest backups;
  backups.enabled = true;
  backups.interval_hours = 24;
  backups.retention_days = 7;
  backups.config = {{"destinationPath", "s3://backups/orders/"}, {"endpointUrl", "https://s3.example.org"}};
  backups.secrets = model::Secrets{{"accessKey", core::Secret("AK")}, {"secretKey", core::Secret("SK")}};
  return backups;
}

model::Service ControlWorld::make_service(bool with_backups) {
  auto request = create_request();
  if (with_backups) request.backups = backups_request();
  const auto id = commands->create_service(request, admin).service.id;
  settle();
  return service(id);
}

bool ControlWorld::run_one() { return runner->run_one({}); }

void ControlWorld::settle() {
  bool worked = true;
  while (worked) {
    tick();
    retention->tick();
    former->tick();
    schedules->tick();
    worked = false;
    while (run_one()) worked = true;
  }
}

void ControlWorld::snapshot(const fs::path& to) const {
  fs::create_directories(to);
  for (const auto& entry : fs::directory_iterator(directory)) {
    if (entry.is_regular_file() && entry.path().extension() != ".db-shm") {
      fs::copy_file(entry.path(), to / entry.path().filename(), fs::copy_options::overwrite_existing);
    }
  }
}

std::vector<std::string> ControlWorld::events(const std::string& service_id) {
  EventFilter filter;
  filter.service_id = service_id;
  filter.after = 0;
  filter.limit = 1000;
  std::vector<std::string> names;
  for (const auto& event : queries->events(filter, admin)) names.push_back(event.name);
  return names;
}

std::size_t ControlWorld::count_events(const std::string& service_id, const std::string& name) {
  const auto names = events(service_id);
  return static_cast<std::size_t>(std::count(names.begin(), names.end(), name));
}

}  // namespace backstay::control::testing
