// What a kind of service must be able to do. Declared here, implemented in providers/.
//
// Control decides what happens when; a provider makes it so on the instance. Every call that acts is idempotent: it may
// have run before, wholly or in part, when the process was killed. It throws core::Error; a retryable one is tried
// again.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "control/events.h"
#include "core/error.h"
#include "core/json.h"
#include "core/secret.h"
#include "core/time.h"
#include "model/backup.h"
#include "model/catalogue.h"
#include "model/chain.h"
#include "model/destination.h"
#include "model/instance.h"
#include "model/recovery.h"
#include "model/retention.h"
#include "model/service.h"

namespace backstay::control {

/// Where backups go, opened.
struct BackupTarget {
  model::Destination destination;
  /// The key of the team that owns the repository there, as its recovery kit prints it.
  core::Secret recovery_key;
};

/// A service and one instance behind it, loaded for one piece of work.
struct ServiceBody {
  model::Service service;
  model::Instance instance;
  /// A random text that control made for the instance and keeps sealed: the provider's own management password.
  core::Secret instance_secret;
  /// The storage is full: new sessions of applications may only read.
  bool read_only = false;
  /// Where the instance's archive is; nothing if it never had one. Whether backups are on, the service says.
  std::optional<BackupTarget> backups;
};

/// What work reports through. Implemented by the operation runner.
class WorkContext {
 public:
  virtual ~WorkContext() = default;
  [[nodiscard]] virtual std::stop_token stop() const = 0;
  /// Phase, and how far: bytes or pieces; total 0 means unknown. Written to the store at most every 250 ms.
  virtual void progress(std::string_view phase, std::uint64_t done, std::uint64_t total) = 0;
  /// Writes the instance (what the provider learned: system id, timeline, facts); durable when the call returns.
  virtual void save(const model::Instance& instance) = 0;
  /// Records an event of the service.
  virtual void event(EventKind kind, std::string body) = 0;
};

enum class Liveness {
  kAbsent,       ///< nothing of it is there
  kRunning,      ///< the process lives and answers
  kUnreachable,  ///< the process lives but does not answer
  kDead,         ///< there is data, but no process
  kNotSeen       ///< of what runs elsewhere: there is no answer yet, so nothing can be said
};

struct Observation {
  Liveness liveness = Liveness::kAbsent;
  /// Why it is dead or unreachable, with the last log lines, for people.
  std::string reason;
  /// Bytes that the instance's data takes; nothing if not measured this time.
  std::optional<std::uint64_t> storage_used;
  /// Of what runs elsewhere: what its backend tells of it, and in words what is otherwise than the service says.
  std::optional<core::json::object> details{};
  std::string drift{};
};

/// What a finished backup tells.
struct BackupOutcome {
  core::Timestamp taken_at;
  core::Timestamp stored_at;
  std::uint64_t start_lsn = 0;
  std::uint64_t stop_lsn = 0;
  std::uint32_t timeline = 0;
  std::uint64_t data_bytes = 0;
  std::uint64_t stored_bytes = 0;
  /// As in model::Backup.
  std::string base_id{};
  std::uint64_t read_bytes = 0;
  std::string full_reason{};
  /// What was found otherwise than the WAL since the base says, in words: that base was not used.
  std::string mismatch{};
};

/// What became of a restore that was made to be looked at.
struct VerifiedRestore {
  /// What is wrong with the backup, and what to do; empty: a restore of it was seen to work.
  std::string problem{};
  std::string next_step{};
  std::optional<core::Duration> first_query_time{};
  std::optional<core::Duration> recovery_time{};
  /// See model::Verification.
  core::json::object checks{};
};

/// Which past state, already resolved to its source by control.
struct RecoveryQuestion {
  model::Service source;
  /// Every instance that the source has pointed to, the newest first; for a backup the one that it was taken of.
  std::vector<model::Instance> instances;
  BackupTarget from;
  /// A backup's own state, or a time, or neither: the latest.
  std::optional<std::string> backup_id;
  std::optional<core::Timestamp> time;
  /// The backup is a dump.
  bool logical = false;
  /// Other roles than the application's may log in as they could then.
  bool keep_logins = false;
  /// Of what runs elsewhere, instead of instances and `from`: where its backend put the backups.
  core::json::object config{};
  model::Secrets secrets{};
};

/// The answer, checked against what is stored. `facts` is the provider's own; it comes back in recover().
struct RecoveryPlan {
  core::json::object facts;
  /// For people: "backup … and WAL up to 0/5000148".
  std::string description;
  /// What of the plan must not be seen.
  model::Secrets secrets{};
  /// For those who ask before it is done: what is read and how long it takes, and warnings; the keys of the API's
  /// RecoveryForecast.
  core::json::object forecast{};
};

/// How backups are removed.
struct RemovalTerms {
  /// How long work that reads them now may take: what goes is hidden first and removed so much later.
  core::Duration grace{};
  /// Backups whose attempts are over although something of them may have been left behind.
  std::set<std::string> ended{};
  /// Retention: called with what was asked (the store's clock and stamps added) and what was decided, before the first
  /// request that hides anything in the store; what it throws ends the call with nothing hidden.
  std::function<void(const model::RetentionQuestion& asked, const model::RetentionDecision& decision)> decided{};
};

/// What retention did at one destination.
struct RetentionOutcome {
  /// For the backups of the question, in their order.
  model::RetentionDecision decision{};
  /// Backups that are hidden in the store until they are removed, and those that should go of which nothing is stored.
  std::set<std::string> condemned{};
  std::set<std::string> gone{};
  /// Nothing of the question's instances is in the store.
  bool empty = false;
};

/// What would be lost if the machine of an instance were lost now.
struct AtRisk {
  /// Written by the server and not in the store, and for how long the oldest of it.
  std::uint64_t bytes = 0;
  core::Duration time{};
  bool store_reachable = true;
  std::string last_error;
  /// Why only a new backup opens the window again, such as a hole in the archive; empty if it is open.
  std::string needs_backup{};
};

/// What a companion reports. Thread-safe.
class CompanionReporter {
 public:
  virtual ~CompanionReporter() = default;
  virtual void event(EventKind kind, std::string body) = 0;
};

/// Long-lived work beside an instance.
struct Companion {
  /// Unique for the instance, e.g. "wal-receiver".
  std::string name;
  /// Changes when the companion must be started anew to follow a changed setting.
  std::string fingerprint;
  /// Runs until stopped; throws if it cannot go on (it is then started again, with back-off). `epoch` grows with every
  /// start and is part of the name of each object that is written.
  std::function<void(std::stop_token stop, std::int64_t epoch, CompanionReporter& reporter)> run;
};

/// A dump that is to be taken into a running instance: a file or a directory, whatever its format is.
struct ImportTask {
  /// The operation's id: the same for each attempt.
  std::string id;
  /// Its name in the spool of dumps, or a path below a root that the operator allowed.
  std::string spooled{};
  std::string path{};
  /// What its sender says it is ("plain", "custom", "tar", "directory"); empty: its content alone says it.
  std::string format{};
  /// What an earlier attempt noted; empty: there was none that came so far.
  std::string mark{};
  /// Notes what the next attempt must know not to take the dump in twice; durable when it returns.
  std::function<void(const std::string& mark)> note{};
};

/// What is to be done with a dump.
enum class DumpWork { kTake, kRead };

/// Gets a text piece by piece; an exception ends the work and comes out of it.
using TextSink = std::function<void(std::string_view)>;

/// Thread-safe.
class Provider {
 public:
  virtual ~Provider() = default;

  /// The kind of its offers in the catalogue: "postgresql".
  [[nodiscard]] virtual std::string kind() const = 0;
  [[nodiscard]] virtual std::vector<model::ProviderDefinition> offers() const = 0;
  /// True if its instances are processes of a node: they have a port, a user and an archive, and are restarted when
  /// they die. Otherwise a backend elsewhere runs them, and work that waits for it throws Error(not_yet).
  [[nodiscard]] virtual bool is_local() const { return true; }

  /// Judges what the schemas cannot say: throws Error(invalid_argument) with fields. `before` is null at creation.
  virtual void check(const model::Service& wanted, const model::Service* before) const = 0;
  /// Answers before work starts: throws Error(recovery_out_of_reach) that names the nearest times within reach.
  virtual RecoveryPlan plan_recovery(const RecoveryQuestion& question, const model::Service& wanted) = 0;

  /// True if a server could listen on the port now.
  [[nodiscard]] virtual bool port_usable(std::uint16_t port) const = 0;
  /// False for a user of the machine whose processes run already: somebody else uses the number.
  [[nodiscard]] virtual bool user_usable(std::uint32_t /*uid*/) const { return true; }
  /// True if the instance's server does not run and could not: something else listens on its port.
  [[nodiscard]] virtual bool port_taken(const ServiceBody& body) const = 0;
  /// From nothing to a running, configured instance.
  virtual void provision(const ServiceBody& body, WorkContext& context) = 0;
  /// From nothing to a running, configured instance that holds the planned state.
  virtual void recover(const ServiceBody& body, const BackupTarget& from, const RecoveryPlan& plan,
                       WorkContext& context) = 0;
  /// Brings a running instance to what the service says now: settings, secrets, plan.
  virtual void apply(const ServiceBody& body, WorkContext& context) = 0;
  /// Starts what is dead; nothing if it runs.
  virtual void start(const ServiceBody& body, WorkContext& context) = 0;
  /// Ends the processes and keeps the data; nothing if it does not run. Before, what was written goes to the store:
  /// false if the store does not take all of it.
  virtual bool pause(const ServiceBody& body, WorkContext& context) = 0;
  /// For a switch-over: writes out now what a stop would have to write, so that the stop is short.
  virtual void checkpoint(const ServiceBody& /*body*/, WorkContext& /*context*/) {}
  /// Ends the processes within a second or two, whatever the store does: when it returns nobody writes to the instance
  /// any more, and what was acknowledged is in its data. Nothing if it does not run.
  virtual void fence(const ServiceBody& /*body*/, WorkContext& /*context*/) {
    throw core::Error(core::Code::kNotSupported, "the provider cannot switch services over");
  }
  /// Brings to the store what an instance had not sent when it was fenced, without letting anybody in; it does not run
  /// afterwards. No companion of it runs meanwhile, and `epoch` is larger than that of any. Throws Error(unavailable)
  /// if the store does not take it.
  virtual void store_rest(const ServiceBody& /*body*/, std::int64_t /*epoch*/, WorkContext& /*context*/) {}
  /// Ends the processes and removes the data. Missing is fine.
  virtual void destroy(const ServiceBody& body, WorkContext& context) = 0;

  /// Looks, within a few seconds, and changes nothing. `measure`: also measure the storage.
  virtual Observation observe(const ServiceBody& body, bool measure) = 0;
  /// Adapts a running instance to what the machine is now, such as its free disk; called when it has been measured.
  virtual void adjust(const ServiceBody&) {}
  /// Lets applications write or not, when the storage is full or fits again.
  virtual void set_read_only(const ServiceBody& body, bool read_only) = 0;
  /// What users see of the service, by the offer's details schema; `ready` as given.
  [[nodiscard]] virtual core::json::object details(const ServiceBody& body, bool ready) const = 0;

  /// Takes a backup and returns when it is stored. The instance's companions run meanwhile.
  virtual BackupOutcome take_backup(const ServiceBody& body, const model::Backup& backup, WorkContext& context) = 0;
  /// Reads it back from the store and checks it; throws if it is not whole.
  virtual void confirm_backup(const ServiceBody& body, const model::Backup& backup, WorkContext& context) = 0;
  /// Why a restore of the backup cannot be verified here, in words; nothing if it can.
  [[nodiscard]] virtual std::optional<std::string> verification_problem(const model::Instance& /*instance*/,
                                                                        const model::Backup& /*backup*/) const {
    return "its provider verifies no backups";
  }
  /// Restores it to a place of its own, starts it closed as the user `uid` (0: ours), looks at it, and removes it. With
  /// less right to the machine than any service. Throws where nothing can be said of the backup: disk_full, the store's
  /// errors, cancelled.
  virtual VerifiedRestore verify_backup(const ServiceBody& /*body*/, const model::Backup& /*backup*/,
                                        std::uint32_t /*uid*/, WorkContext& /*context*/) {
    throw core::Error(core::Code::kNotSupported, "the provider verifies no backups");
  }
  /// Has a backup of what runs elsewhere removed by its backend. Missing is fine.
  virtual void remove_backup(const ServiceBody& /*body*/, const model::Backup& /*backup*/, WorkContext& /*context*/) {
    throw core::Error(core::Code::kNotSupported, "the provider removes no single backups");
  }
  virtual model::RecoveryWindow recovery_window(const ServiceBody& body) = 0;

  /// Applies the retention's rule to the backups and the WAL at one destination; the store's clock and stamps are added
  /// to the question. What goes is condemned now and removed by a later call, once the grace has passed. Backups of
  /// what runs elsewhere are its backend's.
  virtual RetentionOutcome apply_retention(const BackupTarget& /*at*/, const model::RetentionQuestion& /*question*/,
                                           const RemovalTerms& /*terms*/, WorkContext& /*context*/) {
    return {};
  }
  /// Removes what no backup in the repository there refers to, whichever local provider wrote it. True if no backup is
  /// left in it at all.
  virtual bool remove_garbage(const BackupTarget& /*at*/, const RemovalTerms& /*terms*/, WorkContext& /*context*/) {
    return false;
  }

  /// Why no logical backup of the instance can be taken, or read, here, in words; nothing if it can.
  [[nodiscard]] virtual std::optional<std::string> logical_problem(const model::Instance& /*instance*/,
                                                                   DumpWork /*work*/) const {
    return "its provider has none";
  }
  /// A stored logical backup of the instance as SQL.
  virtual void write_dump(const model::Instance& /*instance*/, const BackupTarget& /*at*/,
                          const model::Backup& /*backup*/, const TextSink& /*sink*/, std::stop_token /*stop*/) {
    throw core::Error(core::Code::kNotSupported, "the provider has no logical backups");
  }

  /// Why no dump can be taken into the instance, in words; nothing if one can.
  [[nodiscard]] virtual std::optional<std::string> import_problem(const model::Instance& /*instance*/) const {
    return "its provider takes none";
  }
  /// Takes a dump into the running instance with no more rights than its application has: all of it or nothing, and
  /// once however often the call is repeated. Returns what is to be told of it: "format", "bytes", "leftOut" …
  virtual core::json::object import_dump(const ServiceBody& /*body*/, const ImportTask& /*task*/,
                                         WorkContext& /*context*/) {
    throw core::Error(core::Code::kNotSupported, "the provider takes no dumps");
  }

  /// Nothing while nothing archives the instance.
  [[nodiscard]] virtual std::optional<AtRisk> at_risk(const std::string& instance_id) const = 0;
  /// What the last looks at the instance's archive found; nothing while nobody looks.
  [[nodiscard]] virtual std::optional<model::ChainReport> chain(const std::string& /*instance_id*/) const {
    return std::nullopt;
  }

  /// What should run beside the instance now.
  virtual std::vector<Companion> companions(const ServiceBody& body) = 0;
};

}  // namespace backstay::control
