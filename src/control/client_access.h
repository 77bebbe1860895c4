// Access tokens for programs: a key is shown once an hour, what goes over the wire with each request lives no longer.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "control/token_access.h"
#include "core/random.h"
#include "core/secret.h"
#include "core/time.h"
#include "metadata/database.h"

namespace backstay::control {

struct AccessRequest {
  /// The id and the text of a key.
  std::string client_id;
  core::Secret client_secret;
  /// Of model/team.h.
  std::vector<std::string> scopes;
  /// The slugs of the teams that it is for; nothing: all of the key's.
  std::optional<std::vector<std::string>> team_slugs;
  /// What is asked for in the words of the client's dialect; the token keeps them.
  std::vector<std::string> grants;
};

/// Thread-safe.
class ClientAccess {
 public:
  static constexpr auto kLength = std::chrono::hours(1);

  /// All outlive it.
  ClientAccess(metadata::Database& database, core::Clock& clock, core::Random& random)
      : database_(database), clock_(clock), random_(random) {}

  /// Throws Error(unauthenticated) for a key that is unknown, ended, no key, or another one's than the id's, and
  /// Error(forbidden) for a scope or a team that the key does not allow.
  CreatedToken grant(const AccessRequest& request);

 private:
  metadata::Database& database_;
  core::Clock& clock_;
  core::Random& random_;
};

}  // namespace backstay::control
