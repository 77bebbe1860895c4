// Who asks: a token that was checked, and what it allows.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace backstay::control {

struct RequestTerms;

/// Who a token speaks for. See model/team.h for the scopes.
struct Principal {
  std::string token_id;
  std::string token_name;
  /// Whose token it is; empty: nobody's.
  std::string account_id;
  /// Of a login; else of a key, or of what a key was shown for.
  bool is_session = false;
  bool admin = false;
  bool may_read = false;
  /// May make and change things.
  bool may_write = false;
  bool may_delete = false;
  /// May make a service go on from a past state under its own id.
  bool may_recover_in_place = false;
  bool may_read_metrics = false;
  /// Scopes of services alone or of backups alone, besides what the above include.
  std::set<std::string, std::less<>> parts;
  /// What a dialect granted, in its words.
  std::vector<std::string> grants;
  bool all_teams = false;
  std::set<std::int64_t> team_ids;
  /// Of the request that is being carried out; null: none. Shared, as principals are copied freely.
  std::shared_ptr<const RequestTerms> terms = nullptr;

  [[nodiscard]] bool sees_team(std::int64_t team_id) const { return all_teams || team_ids.contains(team_id); }
  /// By the scope itself or by one that includes it.
  [[nodiscard]] bool may(std::string_view scope) const;
};

/// Throws Error(forbidden) naming the scope that is missing: one of model/team.h.
void require_scope(const Principal& principal, std::string_view scope);
/// Something of services or of backups may be read.
void require_any_read(const Principal& principal);
/// The same for what is neither of services alone nor of backups alone.
void require_read(const Principal& principal);
void require_write(const Principal& principal);
void require_delete(const Principal& principal);
void require_recover_in_place(const Principal& principal);
void require_admin(const Principal& principal);

}  // namespace backstay::control
