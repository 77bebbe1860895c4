#include "providers/repositories.h"

#include "codec/hash.h"
#include "providers/store_gate.h"

namespace backstay::providers {

std::string fingerprint(const control::BackupTarget& target) {
  const auto& destination = target.destination;
  std::string all;
  for (const std::string_view part :
       {std::string_view(destination.url), std::string_view(destination.endpoint_url),
        std::string_view(destination.region), std::string_view(destination.access_key.reveal()),
        std::string_view(destination.secret_key.reveal()), std::string_view(target.recovery_key.reveal()),
        std::string_view(destination.path_style ? "path" : "host")}) {
    all += std::to_string(part.size()) + ":" + std::string(part);
  }
  const core::Secret wiped(std::move(all));
  return core::to_hex(codec::sha256(core::as_bytes(wiped.reveal())));
}

std::shared_ptr<repository::Repository> Repositories::create_or_open(const control::BackupTarget& target) {
  return find(target, true);
}

std::shared_ptr<repository::Repository> Repositories::open(const control::BackupTarget& target) {
  return find(target, false);
}

OpenArchive Repositories::archive(const control::BackupTarget& target, const std::string& instance_id) {
  auto repository = open(target);
  const core::LockGuard lock(mutex_);
  auto& kept = archives_[fingerprint(target) + "/" + instance_id];
  if (kept.repository != repository) {
    kept = {repository, std::make_shared<backup::WalArchive>(*repository, instance_id)};
  }
  return kept;
}

std::shared_ptr<repository::Repository> Repositories::find(const control::BackupTarget& target, bool may_create) {
  const auto key = fingerprint(target);
  {
    const core::LockGuard lock(mutex_);
    if (const auto found = open_.find(key); found != open_.end()) return found->second;
  }
  const auto team_key = repository::parse_recovery_key(target.recovery_key.reveal());
  std::shared_ptr<blob::Store> store = blob::open_store(to_blob(target.destination), policy_, context_);
  std::shared_ptr<repository::Repository> opened =
      may_create ? repository::Repository::create_or_open(store, team_key, context_.random, context_.clock)
                 : repository::Repository::open(store, team_key, context_.random, context_.clock);
  const core::LockGuard lock(mutex_);
  return open_.emplace(key, std::move(opened)).first->second;
}

}  // namespace backstay::providers
