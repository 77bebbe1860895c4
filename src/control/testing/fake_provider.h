// A provider without servers: it remembers what it was asked and fails on command.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "control/provider.h"
#include "control/provider_commands.h"
#include "control/stores.h"
#include "core/error.h"
#include "core/mutex.h"

namespace backstay::control::testing {

/// Thread-safe. Offers `postgresql`/"15" and `postgres`/"v1", as the real one does where PostgreSQL 15 is installed.
class FakeProvider final : public Provider {
 public:
  /// The next call of `what` ("provision", "apply", "take_backup" …) throws this.
  void fail_next(const std::string& what, core::Error error);
  /// Called at the beginning of every acting call, outside of locks, with its name.
  void on_call(std::function<void(const std::string& what, WorkContext& context)> hook);
  void set_liveness(const std::string& instance_id, Liveness liveness, std::string reason = "");
  void set_storage_used(const std::string& instance_id, std::uint64_t bytes);
  /// Another program listens on the port, or does no longer: no server starts there.
  void occupy_port(std::uint16_t port);
  void free_port(std::uint16_t port);
  /// What the receiver of every instance reports; nothing at first.
  void set_at_risk(std::optional<AtRisk> risk);
  void set_chain(std::optional<model::ChainReport> report);
  void set_window(model::RecoveryWindow window);
  /// The same for the instance that it names; from then on others have none.
  void set_window_of_instance(model::RecoveryWindow window);
  /// From now on a backend elsewhere runs what it makes.
  void move_elsewhere();
  /// What pause() answers from now on; true at first.
  void set_store_takes_all(bool takes);
  /// What was called so far: "provision <instance id>" and so on.
  [[nodiscard]] std::vector<std::string> calls() const;
  [[nodiscard]] bool read_only(const std::string& instance_id) const;
  /// The instances that run, each with the port that it was started on.
  [[nodiscard]] std::map<std::string, std::uint16_t> running() const;
  /// The epochs that the companion was started with.
  [[nodiscard]] std::vector<std::int64_t> epochs() const;

  [[nodiscard]] std::string kind() const override { return "postgresql"; }
  [[nodiscard]] bool is_local() const override;
  void remove_backup(const ServiceBody& body, const model::Backup& backup, WorkContext& context) override;
  [[nodiscard]] std::vector<model::ProviderDefinition> offers() const override;
  void check(const model::Service& wanted, const model::Service* before) const override;
  RecoveryPlan plan_recovery(const RecoveryQuestion& question, const model::Service& wanted) override;
  [[nodiscard]] bool port_usable(std::uint16_t port) const override;
  [[nodiscard]] bool port_taken(const ServiceBody& body) const override;
  void provision(const ServiceBody& body, WorkContext& context) override;
  void recover(const ServiceBody& body, const BackupTarget& from, const RecoveryPlan& plan,
               WorkContext& context) override;
  void apply(const ServiceBody& body, WorkContext& context) override;
  void start(const ServiceBody& body, WorkContext& context) override;
  bool pause(const ServiceBody& body, WorkContext& context) override;
  void checkpoint(const ServiceBody& body, WorkContext& context) override;
  void fence(const ServiceBody& body, WorkContext& context) override;
  void store_rest(const ServiceBody& body, std::int64_t epoch, WorkContext& context) override;
  void destroy(const ServiceBody& body, WorkContext& context) override;
  Observation observe(const ServiceBody& body, bool measure) override;
  void set_read_only(const ServiceBody& body, bool read_only) override;
  [[nodiscard]] core::json::object details(const ServiceBody& body, bool ready) const override;
  BackupOutcome take_backup(const ServiceBody& body, const model::Backup& backup, WorkContext& context) override;
  void confirm_backup(const ServiceBody& body, const model::Backup& backup, WorkContext& context) override;
  [[nodiscard]] std::optional<std::string> verification_problem(const model::Instance& instance,
                                                                const model::Backup& backup) const override;
  /// Finds what set_finding() says; nothing at first.
  VerifiedRestore verify_backup(const ServiceBody& body, const model::Backup& backup, std::uint32_t uid,
                                WorkContext& context) override;
  void set_finding(std::string problem);
  /// Dumps can be taken, and not be loaded.
  void load_dumps(bool can);
  [[nodiscard]] std::optional<std::string> import_problem(const model::Instance& /*instance*/) const override {
    return std::nullopt;
  }
  /// Loads it, unless its mark says that it is loaded: then it says "loadedBefore".
  core::json::object import_dump(const ServiceBody& body, const ImportTask& task, WorkContext& context) override;
  model::RecoveryWindow recovery_window(const ServiceBody& body) override;
  /// The rule itself; what goes is condemned by one call and gone by the next one that is a grace later.
  RetentionOutcome apply_retention(const BackupTarget& at, const model::RetentionQuestion& question,
                                   const RemovalTerms& terms, WorkContext& context) override;
  bool remove_garbage(const BackupTarget& at, const RemovalTerms& terms, WorkContext& context) override;
  /// What remove_garbage() answers; false at first.
  void set_stores_empty(bool empty);
  [[nodiscard]] std::optional<AtRisk> at_risk(const std::string& instance_id) const override;
  [[nodiscard]] std::optional<model::ChainReport> chain(const std::string& instance_id) const override;
  std::vector<Companion> companions(const ServiceBody& body) override;

 private:
  void begin(const std::string& what, const std::string& id, WorkContext& context);
  void run(const ServiceBody& body);

  mutable core::Mutex mutex_;
  std::map<std::string, std::deque<core::Error>> failures_ GUARDED_BY(mutex_);
  std::function<void(const std::string&, WorkContext&)> hook_ GUARDED_BY(mutex_);
  std::map<std::string, Liveness> liveness_ GUARDED_BY(mutex_);
  std::map<std::string, std::string> reasons_ GUARDED_BY(mutex_);
  std::map<std::string, std::uint16_t> ports_ GUARDED_BY(mutex_);
  std::map<std::string, std::uint64_t> storage_ GUARDED_BY(mutex_);
  std::optional<AtRisk> at_risk_ GUARDED_BY(mutex_);
  std::optional<model::ChainReport> chain_ GUARDED_BY(mutex_);
  std::set<std::uint16_t> occupied_ports_ GUARDED_BY(mutex_);
  std::map<std::string, bool> read_only_ GUARDED_BY(mutex_);
  std::optional<model::RecoveryWindow> window_ GUARDED_BY(mutex_);
  std::map<std::string, model::RecoveryWindow> windows_ GUARDED_BY(mutex_);
  bool store_takes_all_ GUARDED_BY(mutex_) = true;
  bool elsewhere_ GUARDED_BY(mutex_) = false;
  bool stores_empty_ GUARDED_BY(mutex_) = false;
  std::string finding_ GUARDED_BY(mutex_);
  bool loads_dumps_ GUARDED_BY(mutex_) = true;
  std::map<std::string, core::Timestamp> condemned_ GUARDED_BY(mutex_);
  std::set<std::string> loaded_ GUARDED_BY(mutex_);
  std::vector<std::string> calls_ GUARDED_BY(mutex_);
  std::vector<std::int64_t> epochs_ GUARDED_BY(mutex_);
};

/// A gate to backends that all answer, or do what the test says.
class FakeBackendGate final : public BackendGate {
 public:
  /// Every probe throws it.
  void refuse(core::Error error);
  /// Every probe answers it.
  void silence(std::string reason);
  [[nodiscard]] int probes() const;
  std::optional<std::string> probe(const model::ApiBackend& backend) override;

 private:
  mutable core::Mutex mutex_;
  std::optional<core::Error> refusal_ GUARDED_BY(mutex_);
  std::optional<std::string> silence_ GUARDED_BY(mutex_);
  int probes_ GUARDED_BY(mutex_) = 0;
};

/// A gate whose probe passes, or fails as told.
class FakeStoreGate final : public StoreGate {
 public:
  void refuse(std::string message);
  /// Refuses an endpoint without a scheme.
  void check(const model::Destination& destination) override;
  std::vector<ProbeCheck> probe(const model::Destination& destination) override;
  /// Only where hold_repository() put it.
  bool holds_repository(const model::Destination& destination, const std::string& repository_id) override;
  void hold_repository(const std::string& url, const std::string& repository_id);
  [[nodiscard]] std::string recovery_kit(const model::Team& team,
                                         const std::vector<model::Destination>& destinations) const override;
  core::Secret make_recovery_key() override;

 private:
  core::Mutex mutex_;
  std::optional<std::string> refusal_ GUARDED_BY(mutex_);
  std::map<std::string, std::string> repositories_ GUARDED_BY(mutex_);
  int keys_ GUARDED_BY(mutex_) = 0;
};

}  // namespace backstay::control::testing
