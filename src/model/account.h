// Accounts: people who log in with an e-mail address and a password. What they do, they do by tokens of theirs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/time.h"
#include "model/team.h"

namespace backstay::model {

enum class AccountRole {
  kSuperadmin,  ///< the first one; everything, and nobody else changes or removes it
  kAdmin,       ///< everything
  kUser,        ///< whatever there is to do with what belongs to the account's teams
  kViewer,      ///< sees what belongs to the account's teams
};
std::string_view to_text(AccountRole role);
/// Throws Error(invalid_argument) for a word that is no role.
AccountRole account_role_from_text(std::string_view text);

struct Account {
  std::string id{};
  /// In lower case; unique.
  std::string email{};
  std::string first_name{};
  std::string last_name{};
  AccountRole role = AccountRole::kUser;
  /// Of a user or a viewer.
  std::vector<std::int64_t> team_ids{};
  /// What control/password.h makes of the password; the password itself is nowhere.
  std::string password_hash{};
  core::Timestamp created_at{};
  core::Timestamp updated_at{};
  std::optional<core::Timestamp> last_login_at{};
};

bool is_admin(AccountRole role);
std::vector<std::string> scopes_of(AccountRole role);
/// In lower case and without white space around. Throws Error(invalid_argument) with the field /email for what can be
/// no address.
std::string checked_email(std::string_view text);

}  // namespace backstay::model
