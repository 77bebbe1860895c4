// Looks at the archives of running instances: what backups and WAL need is listed, the replication slot follows, the
// server is on its archive's branch, and the store's clock is right.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>

#include "control/provider.h"
#include "core/mutex.h"
#include "core/time.h"
#include "model/chain.h"
#include "postgres/lsn.h"
#include "providers/postgresql_instance.h"
#include "providers/repositories.h"
#include "repository/pack_listing.h"

namespace backstay::providers {

/// What a watch asks of the instance's WAL receiver.
struct ReceiverView {
  /// Why it wants a base backup; empty if it wants none, or does not run.
  std::function<std::string()> gap;
  /// Has one taken, unless one that begins at `at` or later is stored.
  std::function<void(const std::string& reason, postgres::Lsn at)> want_backup;
};

/// Thread-safe.
class ArchiveWatch {
 public:
  /// Clocks that differ by no more than this are right: the store's dates have whole seconds, and answers take a while.
  static constexpr core::Duration kClockTolerance = std::chrono::seconds(30);

  ArchiveWatch(PostgresqlWorld& world, Repositories& repositories);

  /// Looks at one instance until stopped. Whatever fails is tried again at the next look.
  void watch(const control::ServiceBody& body, const ReceiverView& receiver, std::stop_token stop);
  /// What the last looks found; nothing while nobody looks.
  [[nodiscard]] std::optional<model::ChainReport> report(const std::string& instance_id) const;

 private:
  struct Looker;
  class ReportEnd;
  using Reason = std::optional<std::string>;
  void look_at_store(Looker& looker, std::stop_token stop);
  void look_at_server(Looker& looker, std::stop_token stop);
  /// False while it takes another look to say.
  bool judge_objects(Looker& looker, std::stop_token stop);
  void judge_clock(Looker& looker);
  std::shared_ptr<repository::PackListing> listing_of(const control::BackupTarget& target);
  /// Tells of the fault, or with nothing that it is over.
  void set(const std::string& instance_id, model::ChainFault fault, const Reason& reason, bool needs_backup = false);

  PostgresqlWorld& world_;
  Repositories& repositories_;
  mutable core::Mutex mutex_;
  std::map<std::string, model::ChainReport> reports_ GUARDED_BY(mutex_);
  std::map<std::string, std::weak_ptr<repository::PackListing>> listings_ GUARDED_BY(mutex_);
};

}  // namespace backstay::providers
