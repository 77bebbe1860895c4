// Tokens: how they are made, known again, and what they allow.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "control/principal.h"
#include "core/random.h"
#include "core/secret.h"
#include "core/time.h"
#include "metadata/database.h"
#include "model/team.h"

namespace backstay::control {

struct CreatedToken {
  model::Token token;
  /// Shown this once; only its hash is kept.
  core::Secret text;
};

/// With an id and a text, made now; everything else is up to the caller.
CreatedToken new_token(core::Random& random, core::Timestamp now, std::string_view prefix = {});
std::string token_hash(std::string_view text);
/// The token of a text, if it may be used now: neither it nor what it was had for has ended, and it is not there for
/// refreshing sessions alone.
std::optional<model::Token> usable_token(metadata::Transaction& tx, std::string_view text, core::Timestamp now);
/// The same for what refreshes a session, and for nothing else.
std::optional<model::Token> usable_refresh(metadata::Transaction& tx, std::string_view text, core::Timestamp now);
/// What the token allows, and no more than the account whose it is; nothing if that is gone.
std::optional<Principal> principal_of(metadata::Transaction& tx, const model::Token& token);

}  // namespace backstay::control
