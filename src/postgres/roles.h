// Who may use a server: the application's role and database, and their change of hands after a recovery.
//
// Everything here is idempotent: called again after a crash it continues where it was. Passwords travel as
// SCRAM-SHA-256 verifiers only.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/secret.h"
#include "postgres/connection.h"

namespace backstay::postgres {

/// What the application gets.
struct Access {
  std::string role;
  core::Secret password;
  std::string database;
  /// The password of the true superuser `postgres`; none: there is no such role, or it cannot log in.
  std::optional<core::Secret> superuser_password;
};

/// The true superuser's name.
inline constexpr std::string_view kSuperuserRole = "postgres";

/// Opens a connection of the management role to a database of the server.
using ConnectTo = std::function<Connection(const std::string& database)>;

/// Makes role and database if they are not there, and sets the passwords. The role is never superuser, owns its
/// database and, from PostgreSQL 16 on, may create roles.
/// Throws Error(invalid_argument) with a field for a name that is reserved or longer than 63 bytes.
void ensure_access(const ConnectTo& connect, const Access& access);

/// Sets the passwords of existing roles.
void set_passwords(const ConnectTo& connect, const Access& access);

/// Connects to a closed server as the first of these roles that exists there and is a superuser; the server asks for
/// no password. Throws Error(database_error) that names the roles tried.
Connection connect_as_superuser(ConnectionTarget target, std::span<const std::string> candidates,
                                std::stop_token stop = {});

/// Makes sure that the role `name` exists, is a superuser, may log in and replicate, and has this password.
void ensure_management_role(Connection& connection, const std::string& name, const core::Secret& password);

/// Disables every subscription of the server: a copy must not take what is meant for its source. Their names, as
/// "database/subscription".
std::vector<std::string> disable_subscriptions(Connection& connection);

struct HandOver {
  std::string recovered_role;      ///< the application's role at the source
  std::string recovered_database;  ///< its database at the source
  Access access;                   ///< what the request asks for
  bool keep_other_logins = false;
};
struct HandOverReport {
  std::vector<std::string> disabled_logins;
  std::vector<std::string> disabled_subscriptions;  ///< "database/subscription"
  bool role_created = false;                        ///< the source's role was not in the recovered state
  bool database_created = false;
};
/// After a recovery and before any client. Renames role and database to the request's (ownership follows), sets
/// verifiers, takes LOGIN from every other role unless kept, disables every subscription. Role or database that the
/// recovered state does not have are made. Throws Error(conflict) if the wanted name is taken by another role or
/// database.
HandOverReport hand_over(const ConnectTo& connect, const HandOver& request);

}  // namespace backstay::postgres
