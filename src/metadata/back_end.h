// What differs between the stores that the state can live in: a SQLite file, or a PostgreSQL database.
//
// Both promise the same: readers see one snapshot, and at most one write transaction is open at a time, on all servers
// together. So what is right when transactions follow each other is right on both.
#pragma once

#include <memory>
#include <string>

#include <soci/soci.h>

#include "metadata/database.h"

namespace backstay::metadata {

/// Thread-safe, but for one session at a time.
class BackEnd {
 public:
  virtual ~BackEnd() = default;

  /// Where the state is, for people; without secrets.
  [[nodiscard]] virtual std::string place() const = 0;
  /// Before the first session.
  virtual void prepare_place() const = 0;
  /// Connects and sets the session up.
  virtual void open(soci::session& sql, Access access) const = 0;
  /// Begins a transaction; a writer waits here for its turn.
  virtual void begin(soci::session& sql, Access access) const = 0;
  /// While the object lives, no other program changes the schema.
  class SchemaLock {
   public:
    virtual ~SchemaLock() = default;
  };
  [[nodiscard]] virtual std::unique_ptr<SchemaLock> lock_schema(soci::session& sql) const = 0;
  /// Keeps the whole state as it is before it goes to `version`, where the store cannot go back by itself.
  virtual void keep_before(soci::session& sql, int version) const = 0;
};

/// By config.url, else config.file. Throws Error(config_error).
std::unique_ptr<BackEnd> make_back_end(const DatabaseConfig& config);

std::unique_ptr<BackEnd> make_sqlite_back_end(const DatabaseConfig& config);
std::unique_ptr<BackEnd> make_postgresql_back_end(const DatabaseConfig& config);

}  // namespace backstay::metadata
