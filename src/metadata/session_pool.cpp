#include "metadata/session_pool.h"

#include <soci/sqlite3/soci-sqlite3.h>

#include "core/error.h"
#include "metadata/query.h"

namespace backstay::metadata {
namespace {

std::string connect_string(const std::filesystem::path& file) {
  if (file.string().find('"') != std::string::npos) {
    throw core::Error(core::Code::kConfigError, "the state's path '" + file.string() + "' must not hold a quote");
  }
  return "db=\"" + file.string() + "\"";
}

void prepare(soci::session& sql, Access access) {
  Query(sql, "PRAGMA busy_timeout = 10000").run();
  const auto mode = Query(sql, "PRAGMA journal_mode = WAL").first<std::string>([](const Row& row) {
    return row.text("journal_mode");
  });
  if (mode != "wal") {
    throw core::Error(core::Code::kStateError,
                      "the state's file system does not allow write-ahead logging: " + mode.value_or("no answer"));
  }
  // What is acknowledged survives a power cut.
  Query(sql, "PRAGMA synchronous = FULL").run();
  Query(sql, "PRAGMA foreign_keys = ON").run();
  if (access == Access::kRead) Query(sql, "PRAGMA query_only = ON").run();
}

}  // namespace

Session::Session(const DatabaseConfig& config, core::Random& random, Access for_access)
    : sealer(config.key, random), access(for_access) {
  translated([&] { sql.open(soci::sqlite3, connect_string(config.file)); });
  prepare(sql, access);
}

SessionPool::SessionPool(const DatabaseConfig& config, core::Random& random) : patience_(config.patience) {
  const core::LockGuard lock(mutex_);
  writers_.push_back(std::make_unique<Session>(config, random, Access::kWrite));
  for (std::size_t i = 0; i < config.readers; ++i) {
    readers_.push_back(std::make_unique<Session>(config, random, Access::kRead));
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
