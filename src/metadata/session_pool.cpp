#include "metadata/session_pool.h"

#include "core/error.h"

namespace backstay::metadata {

Session::Session(const BackEnd& back_end, const MasterKey& key, core::Random& random, Access for_access)
    : sealer(key, random), access(for_access) {
  back_end.open(sql, access);
}

SessionPool::SessionPool(std::unique_ptr<BackEnd> store, const DatabaseConfig& config, core::Random& random)
    : back_end(std::move(store)), patience_(config.patience) {
  const core::LockGuard lock(mutex_);
  writers_.push_back(std::make_unique<Session>(*back_end, config.key, random, Access::kWrite));
  for (std::size_t i = 0; i < config.readers; ++i) {
    readers_.push_back(std::make_unique<Session>(*back_end, config.key, random, Access::kRead));
  }
}

std::unique_ptr<Session> SessionPool::take(Access access) {
  const core::LockGuard lock(mutex_);
  auto& free = free_of(access);
  while (free.empty()) {
    if (!given_back_.wait_for(mutex_, patience_) && free.empty()) {
      throw core::Error(core::Code::kStateError, "no session of the state store became free");
    }
  }
  auto session = std::move(free.back());
  free.pop_back();
  return session;
}

void SessionPool::give_back(std::unique_ptr<Session> session) {
  const core::LockGuard lock(mutex_);
  free_of(session->access).push_back(std::move(session));
  given_back_.notify_all();
}

}  // namespace backstay::metadata
