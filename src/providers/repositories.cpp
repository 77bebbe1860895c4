#include "providers/repositories.h"

#include "codec/hash.h"
#include "core/error.h"
#include "providers/store_gate.h"

namespace backstay::providers {
namespace {

/// A directory that went, or that lies below a root which went: for a known repository a disk that is not mounted.
bool is_missing_place(core::Code code) {
  return code == core::Code::kStoreNotFound || code == core::Code::kPathNotAllowed;
}

}  // namespace

Repositories::Repositories(blob::StorePolicy policy, blob::StoreContext context, control::ArchiveMemory& memory)
    : policy_(std::move(policy)), context_(std::move(context)), memory_(memory) {
  policy_.create_directories = false;
}

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
  std::shared_ptr<repository::Repository> found;
  {
    const core::LockGuard lock(mutex_);
    if (const auto known = open_.find(key); known != open_.end()) found = known->second;
  }
  if (found) {
    found->check_present();
    return found;
  }
  const auto& destination = target.destination.id;
  const auto id = destination.empty() ? std::nullopt : memory_.repository_id(destination);
  auto opened = id ? open_known(target, *id) : open_new(target, may_create);
  const core::LockGuard lock(mutex_);
  return open_.emplace(key, std::move(opened)).first->second;
}

std::shared_ptr<blob::Store> Repositories::open_store(const control::BackupTarget& target) {
  return blob::open_store(to_blob(target.destination), policy_, context_);
}

std::shared_ptr<repository::Repository> Repositories::open_known(const control::BackupTarget& target,
                                                                 const std::string& id) {
  std::shared_ptr<blob::Store> store;
  try {
    store = open_store(target);
  } catch (const core::Error& error) {
    if (!is_missing_place(error.code())) throw;
    throw core::Error(core::Code::kStoreUnreachable, fmt::format("the repository '{}' is not in '{}': {}", id,
                                                                 target.destination.url, error.message()))
        .with_hint(
            "bring it back (mount the disk), or send the backups to another place; nothing is written meanwhile");
  }
  repository::Repository::check_present(*store, id);
  return repository::Repository::open(store, repository::parse_recovery_key(target.recovery_key.reveal()),
                                      context_.random, context_.clock);
}

/// What was made or found is remembered before anything is written to it.
std::shared_ptr<repository::Repository> Repositories::open_new(const control::BackupTarget& target, bool may_create) {
  const auto store = open_store(target);
  const auto key = repository::parse_recovery_key(target.recovery_key.reveal());
  auto opened = may_create ? repository::Repository::create_or_open(store, key, context_.random, context_.clock)
                           : repository::Repository::open(store, key, context_.random, context_.clock);
  const auto& destination = target.destination.id;
  if (destination.empty()) return opened;
  memory_.remember_repository(destination, opened->id());
  if (const auto first = memory_.repository_id(destination); first) {
    repository::Repository::check_present(*store, *first);
  }
  return opened;
}

}  // namespace backstay::providers
