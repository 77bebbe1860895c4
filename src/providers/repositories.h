// Open repositories, kept as long as somebody asks for them now and then.
#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "backup/recovery_window.h"
#include "blob/destination.h"
#include "control/archive_memory.h"
#include "control/provider.h"
#include "core/mutex.h"
#include "providers/recently_used.h"
#include "repository/repository.h"

namespace backstay::providers {

/// A repository and the archive of one instance in it, which remembers what it has read.
struct OpenArchive {
  std::shared_ptr<repository::Repository> repository;
  std::shared_ptr<backup::WalArchive> archive;
};

/// Thread-safe. A destination whose repository is known has that one or is away: whatever else is found there, or
/// nothing, is Error(store_unreachable) and left alone.
class Repositories {
 public:
  /// The memory must outlive it.
  Repositories(blob::StorePolicy policy, blob::StoreContext context, control::ArchiveMemory& memory);

  /// For the caller alone: `stop` ends its waiting for the store with Error(cancelled). Makes the repository if the
  /// destination never had one.
  std::shared_ptr<repository::Repository> create_or_open_own(const control::BackupTarget& target, std::stop_token stop);
  /// For short questions; nothing but the store's deadlines ends them. Throws Error(not_found) if the destination never
  /// had one.
  std::shared_ptr<repository::Repository> open(const control::BackupTarget& target);
  /// The same for the caller alone, whose `stop` ends its waiting.
  std::shared_ptr<repository::Repository> open_own(const control::BackupTarget& target, std::stop_token stop) {
    return open_anew(target, false, std::move(stop));
  }
  OpenArchive archive(const control::BackupTarget& target, const std::string& instance_id);

 private:
  std::shared_ptr<repository::Repository> open_anew(const control::BackupTarget& target, bool may_create,
                                                    std::stop_token stop);
  std::shared_ptr<repository::Repository> open_known(const control::BackupTarget& target, const std::string& id,
                                                     std::stop_token stop);
  std::shared_ptr<repository::Repository> open_new(const control::BackupTarget& target, bool may_create,
                                                   std::stop_token stop);
  std::shared_ptr<blob::Store> open_store(const control::BackupTarget& target, std::stop_token stop);

  blob::StorePolicy policy_;
  blob::StoreContext context_;
  control::ArchiveMemory& memory_;
  core::Mutex mutex_;
  RecentlyUsed<std::shared_ptr<repository::Repository>> open_ GUARDED_BY(mutex_);
  RecentlyUsed<OpenArchive> archives_ GUARDED_BY(mutex_);
};

/// Tells two targets apart: place, credentials and key, hashed.
std::string fingerprint(const control::BackupTarget& target);

}  // namespace backstay::providers
