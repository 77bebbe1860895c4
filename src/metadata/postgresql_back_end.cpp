#include <array>
#include <string_view>

#include <fmt/format.h>
#include <soci/postgresql/soci-postgresql.h>

#include "core/error.h"
#include "core/log.h"
#include "core/text.h"
#include "metadata/back_end.h"
#include "metadata/query.h"

namespace backstay::metadata {
namespace {

// Advisory locks of a database, in Backstay's own numbers.
constexpr std::int64_t kWriterLock = 0x6261636b73746179;
constexpr std::int64_t kSchemaLock = kWriterLock + 1;

// A writer that stands still in the middle of a transaction keeps every other one waiting: the server ends it. A
// transaction of ours does nothing but speak to the store, so seconds are plenty.
constexpr auto kIdleLimit = std::chrono::seconds(15);
constexpr auto kStatementLimit = std::chrono::seconds(60);
constexpr auto kSchemaPatience = std::chrono::minutes(10);

bool has_password(std::string_view url) {
  const auto rest = url.substr(url.find("://") + 3);
  const auto authority = rest.substr(0, rest.find_first_of("/?"));
  const auto at = authority.rfind('@');
  if (at != std::string_view::npos && authority.substr(0, at).find(':') != std::string_view::npos) return true;
  return url.find("?password=") != std::string_view::npos || url.find("&password=") != std::string_view::npos;
}

/// Adds what the URL leaves open: libpq would wait for ever for a host that is gone.
std::string connect_string(const DatabaseConfig& config) {
  std::string text = config.url;
  const auto add = [&](std::string_view key, std::string_view value) {
    if (text.find(fmt::format("{}=", key)) != std::string::npos) return;
    text += fmt::format("{}{}={}", text.find('?') == std::string::npos ? '?' : '&', key, core::url_encode(value));
  };
  add("connect_timeout", "10");
  add("keepalives_idle", "10");
  add("tcp_user_timeout", "15000");
  add("application_name", "backstay");
  if (!config.password.empty()) add("password", config.password.reveal());
  return text;
}

class PostgresqlBackEnd final : public BackEnd {
 public:
  explicit PostgresqlBackEnd(const DatabaseConfig& config)
      : url_(config.url), connect_string_(connect_string(config)), patience_(config.patience) {}

  [[nodiscard]] std::string place() const override { return url_; }

  void prepare_place() const override {}

  void open(soci::session& sql, Access access) const override {
    translated([&] { sql.open(soci::postgresql, connect_string_.reveal()); });
    set_up(sql, access);
  }

  void begin(soci::session& sql, Access access) const override {
    try {
      begin_once(sql, access);
    } catch (const core::Error&) {
      if (sql.is_connected()) throw;
      // The server was started again, or the connection cut, since this session was used: nothing has begun yet.
      translated([&] { sql.reconnect(); });
      set_up(sql, access);
      begin_once(sql, access);
    }
  }

  [[nodiscard]] std::unique_ptr<SchemaLock> lock_schema(soci::session& sql) const override {
    return std::make_unique<HeldSchema>(sql);
  }

  /// A step is one transaction here, and copies of a database are its administrator's: nothing to keep.
  void keep_before(soci::session& /*sql*/, int /*version*/) const override {}

 private:
  class HeldSchema final : public SchemaLock {
   public:
    explicit HeldSchema(soci::session& sql) : sql_(sql) {
      limit("lock_timeout", kSchemaPatience);
      limit("statement_timeout", kSchemaPatience);
      Query(sql_, fmt::format("SELECT pg_advisory_lock({})", kSchemaLock)).run();
    }
    ~HeldSchema() override {
      try {
        Query(sql_, fmt::format("SELECT pg_advisory_unlock({})", kSchemaLock)).run();
      } catch (const std::exception& error) {
        // It goes with the session.
        core::log_warning("state.unlock_failed", error.what());
      }
    }
    HeldSchema(const HeldSchema&) = delete;
    HeldSchema& operator=(const HeldSchema&) = delete;

   private:
    void limit(std::string_view setting, std::chrono::seconds time) {
      Query(sql_, fmt::format("SET {} = '{} s'", setting, time.count())).run();
    }
    soci::session& sql_;
  };

  void set_up(soci::session& sql, Access access) const {
    const auto encoding =
        Query(sql, "SELECT current_setting('server_encoding') AS encoding").first<std::string>([](const Row& row) {
          return row.text("encoding");
        });
    if (encoding != "UTF8") {
      throw core::Error(core::Code::kConfigError,
                        fmt::format("the state's database has the encoding '{}', it must be UTF8", *encoding));
    }
    const auto set = [&](std::string_view setting, const std::string& value) {
      Query(sql, fmt::format("SET {} = '{}'", setting, value)).run();
    };
    set("client_encoding", "UTF8");
    set("client_min_messages", "warning");
    set("statement_timeout", fmt::format("{} s", kStatementLimit.count()));
    set("lock_timeout", fmt::format("{} ms", std::max<std::int64_t>(1, milliseconds(patience_))));
    set("idle_in_transaction_session_timeout", fmt::format("{} s", kIdleLimit.count()));
    // What is acknowledged survives a power cut; stronger settings than "on" stay.
    if (access == Access::kWrite) {
      Query(sql,
            "SELECT set_config('synchronous_commit', 'on', false) "
            "WHERE current_setting('synchronous_commit') IN ('off', 'local')")
          .run();
    }
  }

  static std::int64_t milliseconds(std::chrono::seconds time) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
  }

  /// A writer takes the one lock first and holds it until its changes are visible to others; every statement after it
  /// sees what all writers before have committed. So writers follow each other as with SQLite: no write is lost, none
  /// fails for another's sake, and there is no order of locks in which two could wait for each other.
  static void begin_once(soci::session& sql, Access access) {
    if (access == Access::kRead) {
      Query(sql, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").run();
      return;
    }
    try {
      Query(sql, fmt::format("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SELECT pg_advisory_xact_lock({})",
                             kWriterLock))
          .run();
    } catch (const core::Error&) {
      // The transaction began although the lock was not had in time.
      if (sql.is_connected()) Query(sql, "ROLLBACK").run();
      throw;
    }
  }

  std::string url_;
  core::Secret connect_string_;
  std::chrono::seconds patience_;
};

}  // namespace

std::unique_ptr<BackEnd> make_postgresql_back_end(const DatabaseConfig& config) {
  if (!config.url.starts_with("postgresql://") && !config.url.starts_with("postgres://")) {
    throw core::Error(core::Code::kConfigError,
                      fmt::format("the state '{}' is no URL that begins with postgresql://", config.url));
  }
  if (has_password(config.url)) {
    throw core::Error(core::Code::kConfigError, "the URL of the state holds a password")
        .with_hint("put the password alone into a file that only Backstay can read, and name that file");
  }
  return std::make_unique<PostgresqlBackEnd>(config);
}

}  // namespace backstay::metadata
