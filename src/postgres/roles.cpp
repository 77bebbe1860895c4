#include "postgres/roles.h"

#include <array>

#include <fmt/format.h>

#include "core/error.h"
#include "postgres/server_config.h"

namespace backstay::postgres {
namespace {

using core::Code;
using core::Error;

constexpr std::string_view kMaintenanceDatabase = "postgres";
constexpr std::size_t kLongestName = 63;
constexpr int kVersionWithBoundedCreateRole = 160'000;

void check_name(std::string_view what, std::string_view pointer, const std::string& name,
                std::initializer_list<std::string_view> reserved) {
  std::string problem;
  if (name.empty()) problem = "is empty";
  if (name.size() > kLongestName) problem = fmt::format("is longer than {} bytes", kLongestName);
  if (name.starts_with("pg_")) problem = "begins with pg_, which is reserved";
  for (const unsigned char c : name) {
    if (c < 0x20 || c == 0x7F) problem = "contains a control character";
  }
  for (const auto& word : reserved) {
    if (name == word) problem = "is reserved";
  }
  if (problem.empty()) return;
  throw Error(Code::kInvalidArgument, fmt::format("the name '{}' of the {} {}", name, what, problem))
      .with_field(std::string(pointer), problem);
}

void check_names(const Access& access) {
  check_name("role", "/config/userName", access.role, {kManagementRole, kSuperuserRole, "public", "none"});
  check_name("database", "/config/databaseName", access.database,
             {kMaintenanceDatabase, "template0", "template1", "replication"});
}

bool role_exists(Connection& connection, std::string_view role) {
  return !connection.query("SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = $1", {std::string(role)}).empty();
}

bool database_exists(Connection& connection, const std::string& database) {
  return !connection.query("SELECT 1 FROM pg_catalog.pg_database WHERE datname = $1", {database}).empty();
}

bool expires(Connection& connection, std::string_view role) {
  return !connection
              .query("SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = $1 AND rolvaliduntil < 'infinity'",
                     {std::string(role)})
              .empty();
}

/// CREATE ROLE or ALTER ROLE with the attributes and the password, which does not expire.
void put_role(Connection& connection, std::string_view role, std::string_view attributes,
              const core::Secret& password) {
  const auto verifier = connection.password_verifier(std::string(role), password);
  // Only where it expires: a role without a date must not differ from what it was, not even in a dump.
  connection.query(fmt::format("{} ROLE {} {} PASSWORD {}{}", role_exists(connection, role) ? "ALTER" : "CREATE",
                               quote_identifier(role), attributes, quote_literal(verifier.reveal()),
                               expires(connection, role) ? " VALID UNTIL 'infinity'" : ""));
}

void put_application_role(Connection& connection, const Access& access) {
  // Before 16 CREATEROLE reaches pg_execute_server_program, and with it a shell.
  const bool may_create = connection.server_version() >= kVersionWithBoundedCreateRole;
  put_role(connection, access.role,
           fmt::format("LOGIN NOSUPERUSER NOCREATEDB NOREPLICATION NOBYPASSRLS {}",
                       may_create ? "CREATEROLE" : "NOCREATEROLE"),
           access.password);
}

void put_database(Connection& connection, const Access& access) {
  const auto name = quote_identifier(access.database);
  const auto owner = quote_identifier(access.role);
  if (!database_exists(connection, access.database)) {
    connection.query(fmt::format("CREATE DATABASE {} OWNER {} TEMPLATE template0", name, owner));
    return;
  }
  const auto same = connection.query(
      "SELECT 1 FROM pg_catalog.pg_database WHERE datname = $1 AND pg_catalog.pg_get_userbyid(datdba) = $2",
      {access.database, access.role});
  if (same.empty()) connection.query(fmt::format("ALTER DATABASE {} OWNER TO {}", name, owner));
}

std::string current_user(Connection& connection) { return connection.query("SELECT current_user").text(0, 0); }

void put_superuser(Connection& connection, const Access& access) {
  if (access.superuser_password) {
    put_role(connection, kSuperuserRole, "LOGIN SUPERUSER", *access.superuser_password);
  } else if (current_user(connection) != kSuperuserRole && role_exists(connection, kSuperuserRole)) {
    connection.query(fmt::format("ALTER ROLE {} NOLOGIN", quote_identifier(kSuperuserRole)));
  }
}

/// True if there was something to rename or it has its name already.
bool rename_role(Connection& connection, const std::string& from, const std::string& to) {
  const bool taken = role_exists(connection, to);
  if (from == to || from.empty() || !role_exists(connection, from)) return taken;
  if (taken) {
    throw Error(Code::kConflict, fmt::format("the recovered state has both roles, '{}' and '{}'", from, to))
        .with_hint("choose another user name, or the one the source had");
  }
  connection.query(fmt::format("ALTER ROLE {} RENAME TO {}", quote_identifier(from), quote_identifier(to)));
  return true;
}

bool rename_database(Connection& connection, const std::string& from, const std::string& to) {
  const bool taken = database_exists(connection, to);
  if (from == to || from.empty() || !database_exists(connection, from)) return taken;
  if (taken) {
    throw Error(Code::kConflict, fmt::format("the recovered state has both databases, '{}' and '{}'", from, to))
        .with_hint("choose another database name, or the one the source had");
  }
  connection.query(fmt::format("ALTER DATABASE {} RENAME TO {}", quote_identifier(from), quote_identifier(to)));
  return true;
}

}  // namespace

/// Not by ALTER SUBSCRIPTION: event triggers of their databases would run.
std::vector<std::string> disable_subscriptions(Connection& connection) {
  std::vector<std::string> disabled;
  const auto rows = connection.query(
      "WITH disabled AS (UPDATE pg_catalog.pg_subscription SET subenabled = false WHERE subenabled RETURNING subdbid, "
      "subname) SELECT d.datname, s.subname FROM disabled s JOIN pg_catalog.pg_database d ON d.oid = s.subdbid ORDER "
      "BY 1, 2");
  for (std::size_t i = 0; i < rows.size(); ++i) disabled.push_back(rows.text(i, 0) + '/' + rows.text(i, 1));
  return disabled;
}

namespace {

std::vector<std::string> disable_other_logins(Connection& connection, const Access& access) {
  const auto rows = connection.query(
      "SELECT rolname FROM pg_catalog.pg_roles WHERE rolcanlogin AND rolname <> current_user AND rolname <> $1 "
      "AND rolname <> $2 AND (rolname <> $3 OR NOT $4::boolean) ORDER BY 1",
      {access.role, std::string(kManagementRole), std::string(kSuperuserRole),
       access.superuser_password ? "true" : "false"});
  std::vector<std::string> disabled;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    connection.query(fmt::format("ALTER ROLE {} NOLOGIN", quote_identifier(rows.text(i, 0))));
    disabled.push_back(rows.text(i, 0));
  }
  return disabled;
}

}  // namespace

void ensure_access(const ConnectTo& connect, const Access& access) {
  check_names(access);
  auto connection = connect(std::string(kMaintenanceDatabase));
  put_application_role(connection, access);
  put_database(connection, access);
  put_superuser(connection, access);
}

void set_passwords(const ConnectTo& connect, const Access& access) {
  auto connection = connect(std::string(kMaintenanceDatabase));
  put_role(connection, access.role, "LOGIN", access.password);
  if (access.superuser_password) put_superuser(connection, access);
}

Connection connect_as_superuser(ConnectionTarget target, std::span<const std::string> candidates,
                                std::stop_token stop) {
  std::string tried;
  for (const auto& candidate : candidates) {
    tried += (tried.empty() ? "'" : ", '") + candidate + "'";
    target.user = candidate;
    try {
      Connection connection(target, stop);
      if (connection.query("SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user").truth(0, 0)) {
        return connection;
      }
    } catch (const Error& e) {
      // The role does not exist or may not log in: the next one may.
      if (e.code() != Code::kDatabaseError) throw;
    }
  }
  throw Error(Code::kDatabaseError, fmt::format("no superuser could connect; tried {}", tried))
      .with_hint("name a superuser of the source that may log in");
}

void ensure_management_role(Connection& connection, const std::string& name, const core::Secret& password) {
  put_role(connection, name, "LOGIN SUPERUSER REPLICATION CONNECTION LIMIT -1", password);
}

HandOverReport hand_over(const ConnectTo& connect, const HandOver& request) {
  const auto& access = request.access;
  check_names(access);
  HandOverReport report;
  auto connection = connect(std::string(kMaintenanceDatabase));
  report.disabled_subscriptions = disable_subscriptions(connection);
  report.role_created = !rename_role(connection, request.recovered_role, access.role);
  report.database_created = !rename_database(connection, request.recovered_database, access.database);
  put_application_role(connection, access);
  put_database(connection, access);
  put_superuser(connection, access);
  if (!request.keep_other_logins) report.disabled_logins = disable_other_logins(connection, access);
  return report;
}

}  // namespace backstay::postgres
