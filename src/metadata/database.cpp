#include "metadata/database.h"

#include "core/error.h"
#include "core/log.h"
#include "metadata/back_end.h"
#include "metadata/migrations.h"
#include "metadata/query.h"
#include "metadata/servers.h"
#include "metadata/session_pool.h"
#include "metadata/settings.h"

namespace backstay::metadata {
namespace {

constexpr auto kKeyCheck = "master_key_check";
constexpr auto kKeyCheckText = "this master key belongs to this state";

void check_key(Database& database) {
  database.write([](Transaction& tx) {
    Settings settings(tx);
    try {
      if (settings.get_secret(kKeyCheck)) return;
    } catch (core::Error& error) {
      if (error.code() != core::Code::kCorruptData) throw;
      throw core::Error(core::Code::kConfigError, "the master key is not the one that this state was made with")
          .with_hint("point to the master key file that belongs to the state directory");
    }
    settings.put_secret(kKeyCheck, core::Secret(kKeyCheckText));
  });
}

}  // namespace

int Database::schema_version() { return migrations().back().version; }

Database::Database(std::shared_ptr<SessionPool> pool, std::int64_t fence) : pool_(std::move(pool)), fence_(fence) {}
Database::~Database() = default;

std::unique_ptr<Database> Database::open(const DatabaseConfig& config, core::Random& random) {
  auto back_end = make_back_end(config);
  const std::string place = back_end->place();
  try {
    back_end->prepare_place();
    {
      Session session(*back_end, config.key, random, Access::kWrite);
      migrate(*back_end, session.sql, migrations());
    }
    auto pool = std::make_shared<SessionPool>(std::move(back_end), config, random);
    auto database = std::unique_ptr<Database>(new Database(std::move(pool)));
    check_key(*database);
    return database;
  } catch (core::Error& error) {
    throw error.add_context("opening the state '" + place + "'");
  }
}

std::unique_ptr<Database> Database::fenced(std::int64_t epoch) {
  return std::unique_ptr<Database>(new Database(pool_, epoch));
}

struct Transaction::Held {
  std::shared_ptr<SessionPool> pool;
  std::unique_ptr<Session> session;
  bool open = false;
};

Transaction Database::begin(Access access) {
  auto held = std::make_unique<Transaction::Held>();
  held->pool = pool_;
  held->session = pool_->take(access);
  // From here on the transaction gives the session back, whatever happens.
  Transaction transaction(std::move(held));
  pool_->back_end->begin(transaction.session(), access);
  transaction.held_->open = true;
  if (access == Access::kWrite && fence_ != 0 && !Servers(transaction).is_member(fence_)) {
    throw core::Error(core::Code::kConflict, "this server has lost its leases; another one has taken over");
  }
  return transaction;
}

Transaction::Transaction(std::unique_ptr<Held> held) : held_(std::move(held)) {}
Transaction::Transaction(Transaction&& other) noexcept = default;

Transaction::~Transaction() {
  if (!held_) return;
  if (held_->open) {
    try {
      Query(held_->session->sql, "ROLLBACK").run();
    } catch (const std::exception& error) {
      // After some errors the store has rolled back by itself; a session that truly is broken says so at its next
      // begin.
      core::log_warning("state.rollback_failed", error.what());
    }
  }
  held_->pool->give_back(std::move(held_->session));
}

void Transaction::commit() {
  Query(*this, "COMMIT").run();
  held_->open = false;
}

soci::session& Transaction::session() { return held_->session->sql; }
Sealer& Transaction::sealer() { return held_->session->sealer; }

}  // namespace backstay::metadata
