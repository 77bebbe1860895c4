// A state store in a directory of its own, which goes with it.
#pragma once

#include <filesystem>
#include <memory>

#include "metadata/database.h"

namespace backstay::metadata::testing {

class TemporaryDatabase {
 public:
  TemporaryDatabase();
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
