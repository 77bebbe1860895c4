// A state store of its own for a test, which goes with it.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "metadata/database.h"

namespace backstay::metadata::testing {

enum class Store { kSqlite, kPostgresql };

/// "Sqlite", "Postgresql": the names of the tests of one store.
std::string name_of(Store store);

class TemporaryDatabase {
 public:
  explicit TemporaryDatabase(Store store = Store::kSqlite);
  ~TemporaryDatabase();
  TemporaryDatabase(const TemporaryDatabase&) = delete;
  TemporaryDatabase& operator=(const TemporaryDatabase&) = delete;

  Database& database() { return *database_; }
  /// Closes the store and opens it again.
  void reopen();
  void close() { database_.reset(); }
  [[nodiscard]] const DatabaseConfig& config() const { return config_; }

 private:
  std::filesystem::path directory_;
  DatabaseConfig config_;
  core::SystemRandom random_;
  std::unique_ptr<Database> database_;
};

}  // namespace backstay::metadata::testing
