// Teams and tokens in the state store.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "metadata/database.h"
#include "model/team.h"

namespace backstay::metadata {

class Teams {
 public:
  explicit Teams(Transaction& tx) : tx_(tx) {}
  /// Adds the team and returns it with its id: the one given, or the next free one from 1 on.
  /// Throws Error(already_exists) for an id or slug that is taken.
  model::Team insert(model::Team team);
  /// Writes name, slug, recovery key and when the kit was fetched.
  void update(const model::Team& team);
  std::optional<model::Team> find(std::int64_t id);
  std::optional<model::Team> find_by_slug(const std::string& slug);
  /// By id.
  std::vector<model::Team> list();

 private:
  Transaction& tx_;
};

class Tokens {
 public:
  explicit Tokens(Transaction& tx) : tx_(tx) {}
  void insert(const model::Token& token);
  std::optional<model::Token> find(const std::string& id);
  std::optional<model::Token> find_by_hash(const std::string& hash);
  /// Keys, newest first: those of one account, or all.
  std::vector<model::Token> keys(const std::optional<std::string>& account_id = {});
  /// Of any kind, as long as it was not removed.
  bool any();
  void touch(const std::string& id, core::Timestamp last_used);
  void replace_hash(const std::string& id, const std::string& hash);
  void extend(const std::string& id, core::Timestamp expires_at);
  /// The texts that a key had before.
  void revoke_former(const std::string& key_id, core::Timestamp at);
  /// False if there is no such token; a token that is revoked keeps its first time.
  bool revoke(const std::string& id, core::Timestamp at);
  /// The sessions of an account but for one, and all that refreshes them: the one that stays is refreshed no more.
  void revoke_sessions(const std::string& account_id, const std::string& but, core::Timestamp at);
  /// Removes sessions and access tokens that ended at that time or before; returns how many.
  std::size_t prune(core::Timestamp at);

 private:
  Transaction& tx_;
};

}  // namespace backstay::metadata
