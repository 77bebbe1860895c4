// Who asks: the bearer token of a request as a principal.
#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include "control/principal.h"
#include "http/types.h"

namespace backstay::api {

/// Thread-safe if the lookup is.
class Authentication {
 public:
  /// The principal of a token's text, nothing if it is unknown, expired or revoked. The lookup is by the token's hash,
  /// so that its time tells nothing about tokens that exist.
  using Lookup = std::function<std::optional<control::Principal>(std::string_view token)>;

  explicit Authentication(Lookup lookup) : lookup_(std::move(lookup)) {}

  /// Nothing for a token that is unknown, expired or revoked. Throws Error(unauthenticated) if there is none to look
  /// at.
  [[nodiscard]] std::optional<control::Principal> find(const http::Request& request) const;
  /// Throws Error(unauthenticated) saying what is wrong, never quoting the token.
  [[nodiscard]] control::Principal require(const http::Request& request) const;

 private:
  Lookup lookup_;
};

}  // namespace backstay::api
