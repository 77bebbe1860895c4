// The state store: a SQLite file or a PostgreSQL database, behind transactions that the stores of this folder work in.
//
//   auto tx = database.begin(metadata::Access::kWrite);
//   metadata::Services(tx).insert(service);
//   tx.commit();
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <type_traits>

#include "core/random.h"
#include "core/secret.h"
#include "core/time.h"

namespace soci {
class session;
}

namespace backstay::metadata {

class Sealer;
struct SessionPool;

/// 32 bytes that seal the secret columns.
struct MasterKey {
  std::array<std::byte, 32> bytes{};
};

enum class Access { kRead, kWrite };

/// One transaction on one session. Reads see one snapshot; at most one write transaction is open at a time, on all
/// servers of the state together, and once commit() has returned, what it wrote survives a power cut. Destroyed without
/// commit, it leaves nothing. An error of the store ends it: nothing but its destruction may follow.
/// For one thread; short: never held across I/O other than the store's own. A thread that holds a write transaction
/// must not begin another.
class Transaction {
 public:
  Transaction(Transaction&& other) noexcept;
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();

  void commit();

  /// For the stores of this folder.
  [[nodiscard]] soci::session& session();
  [[nodiscard]] Sealer& sealer();

 private:
  friend class Database;
  struct Held;
  explicit Transaction(std::unique_ptr<Held> held);
  std::unique_ptr<Held> held_;
};

struct DatabaseConfig {
  std::filesystem::path file;
  /// "postgresql://...": the state is this database, and `file` is not used.
  std::string url{};
  /// Of the user that the URL names; empty if it needs none.
  core::Secret password{};
  MasterKey key;
  std::size_t readers = 8;
  /// How long begin() waits while no session becomes free before it gives up.
  std::chrono::seconds patience{30};
};

/// Thread-safe.
class Database {
 public:
  /// Opens the file, or makes it (mode 0600), or connects to the database, and migrates it to this version's schema; a
  /// file is copied to <file>.before-<version> first. Throws Error(state_too_new) for a newer schema,
  /// Error(config_error) for another master key or a bad URL, Error(state_error) for what the store answers.
  static std::unique_ptr<Database> open(const DatabaseConfig& config, core::Random& random);
  ~Database();

  /// The same state, for what the server of this epoch (see servers.h) does as a holder of leases: every write throws
  /// Error(conflict) once the server is retired. May outlive this object.
  std::unique_ptr<Database> fenced(std::int64_t epoch);

  /// Waits for a free session. Throws Error(state_error) after the configured patience.
  Transaction begin(Access access);

  /// Runs `body(tx)` in a transaction, commits if it returns, and returns what it returns.
  template <typename Body>
  auto write(Body&& body) {
    auto tx = begin(Access::kWrite);
    if constexpr (std::is_void_v<decltype(body(tx))>) {
      body(tx);
      tx.commit();
    } else {
      auto result = body(tx);
      tx.commit();
      return result;
    }
  }
  template <typename Body>
  auto read(Body&& body) {
    auto tx = begin(Access::kRead);
    return body(tx);
  }

  /// The version of the schema that this program writes.
  static int schema_version();

 private:
  explicit Database(std::shared_ptr<SessionPool> pool, std::int64_t fence = 0);
  /// Shared with open transactions.
  std::shared_ptr<SessionPool> pool_;
  /// The epoch that writers must have; 0 for any.
  std::int64_t fence_;
};

}  // namespace backstay::metadata
