#include "model/account.h"

#include <algorithm>

#include "core/error.h"
#include "core/text.h"
#include "model/words.h"

namespace backstay::model {
namespace {

constexpr Words<AccountRole, 4> kRoles{{{AccountRole::kSuperadmin, "superadmin"},
                                        {AccountRole::kAdmin, "admin"},
                                        {AccountRole::kUser, "user"},
                                        {AccountRole::kViewer, "viewer"}}};
constexpr std::size_t kLongestEmail = 254;

}  // namespace

std::string_view to_text(AccountRole role) { return word_of(kRoles, role); }
AccountRole account_role_from_text(std::string_view text) { return value_of(kRoles, text, "the role"); }

bool is_admin(AccountRole role) { return role == AccountRole::kSuperadmin || role == AccountRole::kAdmin; }

std::vector<std::string> scopes_of(AccountRole role) {
  if (is_admin(role)) return {std::string(kScopeAdmin)};
  return {std::string(role == AccountRole::kUser ? kScopeWrite : kScopeRead)};
}

std::string checked_email(std::string_view text) {
  auto email = core::to_lower(core::trim(text));
  const auto at = email.find('@');
  const bool has_odd_bytes = std::ranges::any_of(email, [](char c) { return c <= ' ' || c == '\x7f'; });
  if (at == std::string::npos || at == 0 || at + 1 == email.size() || email.find('@', at + 1) != std::string::npos ||
      has_odd_bytes || email.size() > kLongestEmail) {
    throw core::Error(core::Code::kInvalidArgument, fmt::format("'{}' is no e-mail address", email))
        .with_field("/email", "must be an e-mail address");
  }
  return email;
}

}  // namespace backstay::model
