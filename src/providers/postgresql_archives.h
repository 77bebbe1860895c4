// Backups and WAL of PostgreSQL instances: the receivers that run now, base backups, confirmation, windows, plans.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "backup/environment.h"
#include "backup/recovery_window.h"
#include "backup/wal_receiver.h"
#include "control/provider.h"
#include "core/mutex.h"
#include "providers/archive_watch.h"
#include "providers/away_archives.h"
#include "providers/postgresql_instance.h"
#include "providers/recently_used.h"
#include "providers/repositories.h"

namespace backstay::providers {

/// Thread-safe.
class PostgresqlArchives {
 public:
  explicit PostgresqlArchives(PostgresqlWorld& world);

  control::BackupOutcome take(const control::ServiceBody& body, const model::Backup& backup,
                              control::WorkContext& context);
  void confirm(const control::ServiceBody& body, const model::Backup& backup, control::WorkContext& context);
  /// While the store is away, what was known before.
  model::RecoveryWindow window(const control::ServiceBody& body);
  /// The last answer, without a look at the store; known of the place only where the instance's WAL goes now.
  [[nodiscard]] std::optional<model::RecoveryWindow> known_window(const control::ServiceBody& body);
  /// Makes a receiver that runs send what it holds, then asks the archive.
  backup::RecoveryPlan plan(const control::RecoveryQuestion& question);
  /// The application's role and database at the source, as the repository knows them: a deleted service's row may have
  /// lost them.
  std::pair<std::string, std::string> owner_of(const control::RecoveryQuestion& question);

  /// See control::Provider.
  control::RetentionOutcome apply_retention(const control::BackupTarget& at, const model::RetentionQuestion& question,
                                            const control::RemovalTerms& terms, std::stop_token stop);
  bool remove_garbage(const control::BackupTarget& at, const control::RemovalTerms& terms, std::stop_token stop);

  /// Has everything stored that the server has written by now; false if that takes too long. True where backups are
  /// off.
  bool send_all(const control::ServiceBody& body, std::stop_token stop);

  /// Has the receiver of the instance, if one runs, store what comes next at once, for as long as the answer lives.
  [[nodiscard]] std::jthread hurry(const std::string& instance_id);
  /// Receives the WAL of an instance that no companion receives until all that is there is stored and proven, then has
  /// its server stopped and stores what that wrote. False if the store does not take it; the server is stopped too.
  bool store_rest(const control::ServiceBody& body, std::int64_t epoch, std::stop_token stop,
                  const std::function<void()>& stop_server);

  [[nodiscard]] std::optional<control::AtRisk> at_risk(const std::string& instance_id) const;
  [[nodiscard]] std::optional<model::ChainReport> chain(const std::string& instance_id) const {
    return watch_.report(instance_id);
  }
  std::vector<control::Companion> companions(const control::ServiceBody& body);

  Repositories& repositories() { return repositories_; }
  [[nodiscard]] backup::Environment environment() const;

 private:
  /// Nothing if none was ever made there.
  std::shared_ptr<repository::Repository> find_repository(const control::BackupTarget& at, std::stop_token stop);
  /// Its receiver, if one runs, sends there.
  static bool is_present(const control::ServiceBody& body);
  model::RecoveryWindow window_from_store(const control::ServiceBody& body);
  void remember_window(const model::RecoveryWindow& window);
  /// With a record of the instance in it.
  std::shared_ptr<repository::Repository> prepared(std::shared_ptr<repository::Repository> repository,
                                                   const control::ServiceBody& body);
  /// One of its own, which `store_stop` ends, as often as it takes. Nothing if stopped first.
  std::shared_ptr<repository::Repository> wait_for_repository(const control::ServiceBody& body, std::stop_token stop,
                                                              const std::stop_token& store_stop);
  void receive(const control::ServiceBody& body, std::stop_token stop, std::int64_t epoch);
  /// The same with a repository that is there.
  void receive_into(const std::shared_ptr<repository::Repository>& repository, const control::ServiceBody& body,
                    std::stop_token stop, std::int64_t epoch);
  /// False if the store did not tell.
  static bool tell_of_backups(repository::Repository& repository, const std::string& instance_id,
                              backup::WalReceiver& running);
  [[nodiscard]] ReceiverView view_of(const std::string& instance_id) const;
  [[nodiscard]] std::shared_ptr<backup::WalReceiver> receiver(const std::string& instance_id) const;
  /// Throws Error(unavailable) if it does not connect in time.
  std::shared_ptr<backup::WalReceiver> require_receiver(const control::ServiceBody& body, std::stop_token stop) const;
  /// Waits for the companion to be connected; nothing if that takes longer than `patience`.
  std::shared_ptr<backup::WalReceiver> connected_receiver(const std::string& instance_id, core::Duration patience,
                                                          std::stop_token stop) const;
  /// Waits, for a bounded time, until the archive of a running source is proven up to `time`.
  void catch_up(const std::string& instance_id, core::Timestamp time) const;
  [[nodiscard]] std::optional<backup::ArchiveEnd> live_end(const std::string& instance_id) const;

  PostgresqlWorld& world_;
  Repositories repositories_;
  AwayArchives away_;
  ArchiveWatch watch_;
  mutable core::Mutex mutex_;
  std::map<std::string, std::shared_ptr<backup::WalReceiver>> receivers_ GUARDED_BY(mutex_);
  /// The last answer for each instance, for while its store is away; the state remembers it now and then.
  struct KnownWindow {
    model::RecoveryWindow window;
    core::SteadyTime remembered_at;
  };
  RecentlyUsed<KnownWindow> windows_ GUARDED_BY(mutex_);
};

}  // namespace backstay::providers
