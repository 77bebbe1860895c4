#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include <fmt/format.h>
#include <soci/sqlite3/soci-sqlite3.h>

#include "core/error.h"
#include "metadata/back_end.h"
#include "metadata/query.h"

namespace backstay::metadata {
namespace {

/// Makes the file, if there is none, before SQLite does, so that it and what SQLite puts beside it are nobody else's to
/// read.
void make_private(const std::filesystem::path& file) {
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) throw core::system_error("cannot open the state file '" + file.string() + "'", errno);
  ::close(fd);
}

/// One thread at a time uses a session, so SQLite need not take a lock for every column that is read. Before the first
/// session only.
void leave_out_session_locks() {
  [[maybe_unused]] static const int done = sqlite_api::sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
}

class SqliteBackEnd final : public BackEnd {
 public:
  explicit SqliteBackEnd(std::filesystem::path file) : file_(std::move(file)) {
    if (place().find('"') != std::string::npos) {
      throw core::Error(core::Code::kConfigError, "the state's path '" + place() + "' must not hold a quote");
    }
  }

  [[nodiscard]] std::string place() const override { return file_.string(); }

  void prepare_place() const override { make_private(file_); }

  void open(soci::session& sql, Access access) const override {
    translated([&] { sql.open(soci::sqlite3, "db=\"" + place() + "\""); });
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

  /// A writer takes its lock at once: it never has to give up half way because another process wrote meanwhile.
  void begin(soci::session& sql, Access access) const override {
    Query(sql, access == Access::kWrite ? "BEGIN IMMEDIATE" : "BEGIN").run();
  }

  /// The lock of the state directory keeps others away.
  [[nodiscard]] std::unique_ptr<SchemaLock> lock_schema(soci::session& /*sql*/) const override {
    return std::make_unique<SchemaLock>();
  }

  void keep_before(soci::session& sql, int version) const override {
    const std::string copy = fmt::format("{}.before-{}", place(), version);
    std::filesystem::remove(copy);
    make_private(copy);
    Query(sql, "VACUUM INTO :copy").bind(Values().set("copy", copy)).run();
  }

 private:
  std::filesystem::path file_;
};

}  // namespace

std::unique_ptr<BackEnd> make_sqlite_back_end(const DatabaseConfig& config) {
  leave_out_session_locks();
  return std::make_unique<SqliteBackEnd>(config.file);
}

std::unique_ptr<BackEnd> make_back_end(const DatabaseConfig& config) {
  return config.url.empty() ? make_sqlite_back_end(config) : make_postgresql_back_end(config);
}

}  // namespace backstay::metadata
