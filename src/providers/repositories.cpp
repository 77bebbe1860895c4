#include "providers/repositories.h"

#include "codec/hash.h"
#include "core/error.h"
#include "providers/store_gate.h"

namespace backstay::providers {
namespace {

constexpr core::Duration kKeepUnused = std::chrono::minutes(10);

/// A directory that went, or that lies below a root which went: for a known repository a disk that is not mounted.
bool is_missing_place(core::Code code) {
  return code == core::Code::kStoreNotFound || code == core::Code::kPathNotAllowed;
}

}  // namespace

Repositories::Repositories(blob::StorePolicy policy, blob::StoreContext context, control::ArchiveMemory& memory)
    : policy_(std::move(policy)),
      context_(std::move(context)),
      memory_(memory),
      open_(kKeepUnused),
      archives_(kKeepUnused) {
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

std::shared_ptr<repository::Repository> Repositories::open(const control::BackupTarget& target) {
  const auto key = fingerprint(target);
  std::shared_ptr<repository::Repository> found;
  {
    const core::LockGuard lock(mutex_);
    if (const auto* known = open_.find(key, context_.clock.steady_now())) found = *known;
  }
  if (found) {
    found->check_present();
    return found;
  }
  auto opened = open_anew(target, false, {});
  const core::LockGuard lock(mutex_);
  const auto now = context_.clock.steady_now();
  // Another thread may have been faster: one place has one object, whose caches agree.
  if (const auto* known = open_.find(key, now)) return *known;
  return open_.put(key, std::move(opened), now);
}

OpenArchive Repositories::archive(const control::BackupTarget& target, const std::string& instance_id) {
  auto repository = open(target);
  const core::LockGuard lock(mutex_);
  const auto key = fingerprint(target) + "/" + instance_id;
  const auto now = context_.clock.steady_now();
  const auto* kept = archives_.find(key, now);
  if (kept != nullptr && kept->repository == repository) return *kept;
  return archives_.put(key, {repository, std::make_shared<backup::WalArchive>(*repository, instance_id)}, now);
}

std::shared_ptr<repository::Repository> Repositories::create_or_open_own(const control::BackupTarget& target,
                                                                         std::stop_token stop) {
  return open_anew(target, true, std::move(stop));
}

std::shared_ptr<repository::Repository> Repositories::open_anew(const control::BackupTarget& target, bool may_create,
                                                                std::stop_token stop) {
  const auto& destination = target.destination.id;
  const auto id = destination.empty() ? std::nullopt : memory_.repository_id(destination);
  return id ? open_known(target, *id, std::move(stop)) : open_new(target, may_create, std::move(stop));
}

std::shared_ptr<blob::Store> Repositories::open_store(const control::BackupTarget& target, std::stop_token stop) {
  auto context = context_;
  context.stop = std::move(stop);
  return blob::open_store(to_blob(target.destination), policy_, context);
}

std::shared_ptr<repository::Repository> Repositories::open_known(const control::BackupTarget& target,
                                                                 const std::string& id, std::stop_token stop) {
  std::shared_ptr<blob::Store> store;
  try {
    store = open_store(target, std::move(stop));
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
std::shared_ptr<repository::Repository> Repositories::open_new(const control::BackupTarget& target, bool may_create,
                                                               std::stop_token stop) {
  const auto store = open_store(target, std::move(stop));
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
