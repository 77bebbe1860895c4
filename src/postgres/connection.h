// One ordinary connection to a PostgreSQL server.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "core/secret.h"

namespace backstay::postgres {

/// How to reach a server. Either a socket directory (then no TLS) or a host.
struct ConnectionTarget {
  std::filesystem::path socket_directory;  ///< absolute; any length
  std::string host;                        ///< used if there is no socket directory
  std::uint16_t port = 5432;
  std::string user;
  core::Secret password;
  std::string database = "postgres";
  std::string application_name = "backstay";
  std::string ssl_mode;                 ///< libpq's sslmode; empty: "require" for a host
  std::filesystem::path ssl_root_cert;  ///< for verify-ca and verify-full
  std::string options;                  ///< libpq's options, e.g. kManagementOptions
  std::chrono::milliseconds connect_deadline{10'000};
  /// Who must be at the other end of the socket: in a tenant's directory it may be a link to another tenant's. Not
  /// asked if absent.
  std::optional<uid_t> server_user;
};

/// For sessions with power in databases that others own: nothing that an owner sets for the database or puts into a
/// schema has a say in what our statements mean, and no library that is named there is loaded.
inline constexpr std::string_view kManagementOptions =
    "-c search_path=pg_catalog -c default_transaction_read_only=off -c statement_timeout=0 -c lock_timeout=0 "
    "-c idle_in_transaction_session_timeout=0 -c synchronous_commit=on -c client_min_messages=warning "
    "-c log_statement=none -c log_min_duration_statement=-1 -c log_min_error_statement=panic "
    "-c session_preload_libraries= -c local_preload_libraries=";

/// The rows of one statement as text.
struct Rows {
  std::vector<std::string> columns;
  std::vector<std::vector<std::optional<std::string>>> rows;
  std::uint64_t affected = 0;  ///< rows changed, where the command says so

  [[nodiscard]] bool empty() const { return rows.empty(); }
  [[nodiscard]] std::size_t size() const { return rows.size(); }
  /// The value; throws Error(internal) if it is null or not there.
  [[nodiscard]] const std::string& text(std::size_t row, std::size_t column) const;
  [[nodiscard]] bool is_null(std::size_t row, std::size_t column) const;
  [[nodiscard]] bool truth(std::size_t row, std::size_t column) const;
  [[nodiscard]] std::int64_t integer(std::size_t row, std::size_t column) const;
};

using Parameter = std::optional<std::string>;

inline constexpr std::chrono::milliseconds kStatementDeadline{60'000};

/// libpq behind one class. Not thread-safe; movable. Parameters are sent as text and typed by the server.
///
/// Errors: database_unavailable where the server cannot be reached, refuses connections for now, lacks memory or went
/// away; disk_full where the server's disk is full; timeout where the deadline passed (the statement is then cancelled
/// and the connection closed) or the server's own did; cancelled where the stop was requested; database_error with the
/// server's words and its SQLSTATE for everything else, a refused login included.
class Connection {
 public:
  explicit Connection(const ConnectionTarget& target, std::stop_token stop = {});
  ~Connection();
  Connection(Connection&&) noexcept;
  Connection& operator=(Connection&&) noexcept;

  /// One statement with $1, $2 … parameters.
  Rows query(const std::string& sql, std::span<const Parameter> parameters,
             std::chrono::milliseconds deadline = kStatementDeadline);
  Rows query(const std::string& sql, std::initializer_list<Parameter> parameters = {},
             std::chrono::milliseconds deadline = kStatementDeadline);

  /// Several statements at once, without parameters; the rows of the last one.
  Rows execute(const std::string& sql, std::chrono::milliseconds deadline = kStatementDeadline);

  /// server_version_num, e.g. 150020.
  [[nodiscard]] int server_version() const;

  /// A SCRAM-SHA-256 verifier of the password, made on this side: what statements carry instead of the password.
  [[nodiscard]] core::Secret password_verifier(const std::string& user, const core::Secret& password) const;

 private:
  struct Handle;
  std::unique_ptr<Handle> handle_;
};

/// An identifier or a literal for a statement that takes no parameters there.
std::string quote_identifier(std::string_view name);
std::string quote_literal(std::string_view text);

}  // namespace backstay::postgres
