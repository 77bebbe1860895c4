// A destination: where backups go.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/json.h"
#include "core/secret.h"
#include "core/time.h"

namespace backstay::model {

struct Destination {
  std::string id{};
  /// 0: the operator's, usable by every team.
  std::int64_t team_id = 0;
  std::string name{};
  /// Whose store it is (destination_provider.h) and what else its endpoint was made from; empty if only the endpoint
  /// was named.
  std::string provider{};
  std::string account_id{};
  std::string jurisdiction{};
  /// s3://bucket/prefix or file:///directory
  std::string url{};
  std::string endpoint_url{};
  std::string region{};
  bool path_style = true;
  core::Secret access_key{};
  core::Secret secret_key{};
  /// The last probe's report as it was rendered, empty if there was none.
  core::json::object probe{};
  std::optional<core::Timestamp> probed_at{};
  /// Used where a request names no destination; at most one among the operator's and one for each team.
  bool is_default = false;
  /// It was entered because a service named the place, and goes when nothing needs it any more.
  bool made_for_service = false;
  /// When the operator declared that it and what is stored there is lost for ever: nothing asks it any more.
  std::optional<core::Timestamp> lost_at{};
  core::Timestamp created_at{};
};

}  // namespace backstay::model
