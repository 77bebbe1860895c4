// Who did what: one request that would change something, and what came of it. Never a secret.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/json.h"
#include "core/time.h"

namespace backstay::model {

struct AuditEntry {
  std::string id{};
  /// Position in the log, given when the entry is written.
  std::int64_t sequence = 0;
  core::Timestamp at{};
  /// Empty where the token is unknown, as is all of the token then.
  std::string token_id{};
  std::string token_name{};
  bool all_teams = false;
  std::vector<std::int64_t> team_ids{};
  std::string method{};
  /// The call, e.g. "managed-services-delete", and its path with the names of its parameters.
  std::string operation{};
  std::string path{};
  /// What the request is about: of the path, else what it made. Empty if it made nothing.
  std::string object_id{};
  /// The parameters of path and query.
  core::json::object parameters{};
  std::int64_t status = 0;
  /// Of the error catalogue; empty for a success.
  std::string code{};
  std::string trace_id{};
  /// The client's own name of the request, if it gave one.
  std::string request_id{};
  std::string client{};
};

}  // namespace backstay::model
