// Who asks: a token that was checked, and what it allows.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>

namespace backstay::control {

struct RequestTerms;

/// Who a token speaks for. See model/team.h for the scopes.
struct Principal {
  std::string token_id;
  std::string token_name;
  bool admin = false;
  bool may_read = false;
  /// May make and change things.
  bool may_write = false;
  bool may_delete = false;
  /// May make a service go on from a past state under its own id.
  bool may_recover_in_place = false;
  bool may_read_metrics = false;
  bool all_teams = false;
  std::set<std::int64_t> team_ids;
  /// Of the request that is being carried out; null: none. Shared, as principals are copied freely.
  std::shared_ptr<const RequestTerms> terms = nullptr;

  [[nodiscard]] bool sees_team(std::int64_t team_id) const { return all_teams || team_ids.contains(team_id); }
};

/// Throw Error(forbidden) naming the scope that is missing.
void require_read(const Principal& principal);
void require_write(const Principal& principal);
void require_delete(const Principal& principal);
void require_recover_in_place(const Principal& principal);
void require_admin(const Principal& principal);

}  // namespace backstay::control
