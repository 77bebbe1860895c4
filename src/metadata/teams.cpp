#include "metadata/teams.h"

#include "core/error.h"
#include "metadata/query.h"
#include "metadata/sealer.h"

namespace backstay::metadata {
namespace {

class TeamRows {
 public:
  explicit TeamRows(Sealer& sealer) : sealer_(sealer) {}

  Values owned(const model::Team& team) {
    return Values()
        .set("name", team.name)
        .set("slug", team.slug)
        .set("sealed_recovery_key", sealer_.seal(place(std::to_string(team.id)), team.recovery_key.reveal()))
        .set("kit_fetched_at", team.kit_fetched_at);
  }
  model::Team read(const Row& row) {
    model::Team team;
    team.id = row.integer("id");
    team.name = row.text("name");
    team.slug = row.text("slug");
    team.recovery_key = sealer_.open(place(std::to_string(team.id)), row.text("sealed_recovery_key"));
    team.kit_fetched_at = row.maybe_time("kit_fetched_at");
    team.created_at = row.time("created_at");
    return team;
  }

 private:
  static SealedPlace place(const std::string& id) {
    return {.table = "teams", .column = "sealed_recovery_key", .row = id};
  }
  Sealer& sealer_;
};

std::optional<model::Team> find_team(Transaction& tx, const std::string& where, const Values& bound) {
  TeamRows rows(tx.sealer());
  return Query(tx, "SELECT * FROM teams WHERE " + where).bind(bound).first<model::Team>([&](const Row& row) {
    return rows.read(row);
  });
}

std::int64_t next_team_id(Transaction& tx) {
  // The column itself, not max(): an expression has no declared type to read it by.
  const auto last = Query(tx, "SELECT id FROM teams ORDER BY id DESC LIMIT 1").first<std::int64_t>([](const Row& row) {
    return row.integer("id");
  });
  return last ? std::max<std::int64_t>(*last, 0) + 1 : 1;
}

model::Token read_token(const Row& row) {
  model::Token token;
  token.id = row.text("id");
  token.kind = model::token_kind_from_text(row.text("kind"));
  token.name = row.text("name");
  token.hash = row.text("hash");
  for (const auto& scope : row.array("scopes")) token.scopes.emplace_back(scope.as_string());
  token.all_teams = row.flag("all_teams");
  for (const auto& team : row.array("team_ids")) token.team_ids.push_back(team.to_number<std::int64_t>());
  token.account_id = row.text("account_id");
  token.key_id = row.text("key_id");
  for (const auto& grant : row.array("grants")) token.grants.emplace_back(grant.as_string());
  token.created_at = row.time("created_at");
  token.expires_at = row.maybe_time("expires_at");
  token.last_used_at = row.maybe_time("last_used_at");
  token.revoked_at = row.maybe_time("revoked_at");
  return token;
}

std::optional<model::Token> find_token(Transaction& tx, const std::string& column, const std::string& value) {
  return Query(tx, "SELECT * FROM tokens WHERE " + column + " = :" + column)
      .bind(Values().set(column, value))
      .first<model::Token>(read_token);
}

}  // namespace

model::Team Teams::insert(model::Team team) {
  if (team.id == 0) team.id = next_team_id(tx_);
  auto values = TeamRows(tx_.sealer()).owned(team);
  values.set("id", team.id).set("created_at", team.created_at);
  metadata::insert(tx_, "teams", values);
  return team;
}

void Teams::update(const model::Team& team) {
  const auto values = TeamRows(tx_.sealer()).owned(team);
  if (metadata::update(tx_, "teams", values, "id = :id", Values().set("id", team.id)) == 0) {
    throw core::Error(core::Code::kNotFound, "team " + std::to_string(team.id) + " does not exist");
  }
}

std::optional<model::Team> Teams::find(std::int64_t id) { return find_team(tx_, "id = :id", Values().set("id", id)); }

std::optional<model::Team> Teams::find_by_slug(const std::string& slug) {
  return find_team(tx_, "slug = :slug", Values().set("slug", slug));
}

std::vector<model::Team> Teams::list() {
  TeamRows rows(tx_.sealer());
  return Query(tx_, "SELECT * FROM teams ORDER BY id").list<model::Team>([&](const Row& row) {
    return rows.read(row);
  });
}

void Tokens::insert(const model::Token& token) {
  core::json::array scopes(token.scopes.begin(), token.scopes.end());
  core::json::array teams(token.team_ids.begin(), token.team_ids.end());
  core::json::array grants(token.grants.begin(), token.grants.end());
  metadata::insert(tx_, "tokens",
                   Values()
                       .set("id", token.id)
                       .set("kind", std::string(model::to_text(token.kind)))
                       .set("name", token.name)
                       .set("hash", token.hash)
                       .set("scopes", scopes)
                       .set("all_teams", token.all_teams)
                       .set("team_ids", teams)
                       .set("account_id", token.account_id)
                       .set("key_id", token.key_id)
                       .set("grants", grants)
                       .set("created_at", token.created_at)
                       .set("expires_at", token.expires_at)
                       .set("last_used_at", token.last_used_at)
                       .set("revoked_at", token.revoked_at));
}

std::optional<model::Token> Tokens::find(const std::string& id) { return find_token(tx_, "id", id); }

std::optional<model::Token> Tokens::find_by_hash(const std::string& hash) { return find_token(tx_, "hash", hash); }

std::vector<model::Token> Tokens::keys(const std::optional<std::string>& account_id) {
  std::string where = "kind = 'key'";
  Values bound;
  if (account_id) {
    where += " AND account_id = :account_id";
    bound.set("account_id", *account_id);
  }
  return Query(tx_, "SELECT * FROM tokens WHERE " + where + " ORDER BY created_at DESC, id")
      .bind(bound)
      .list<model::Token>(read_token);
}

bool Tokens::any() {
  return Query(tx_, "SELECT id FROM tokens LIMIT 1")
      .first<bool>([](const Row& /*row*/) { return true; })
      .value_or(false);
}

void Tokens::touch(const std::string& id, core::Timestamp last_used) {
  metadata::update(tx_, "tokens", Values().set("last_used_at", last_used), "id = :id", Values().set("id", id));
}

void Tokens::replace_hash(const std::string& id, const std::string& hash) {
  metadata::update(tx_, "tokens", Values().set("hash", hash), "id = :id", Values().set("id", id));
}

void Tokens::extend(const std::string& id, core::Timestamp expires_at) {
  metadata::update(tx_, "tokens", Values().set("expires_at", expires_at), "id = :id", Values().set("id", id));
}

void Tokens::revoke_former(const std::string& key_id, core::Timestamp at) {
  metadata::update(tx_, "tokens", Values().set("revoked_at", at),
                   "kind = 'former' AND key_id = :key AND revoked_at IS NULL", Values().set("key", key_id));
}

bool Tokens::revoke(const std::string& id, core::Timestamp at) {
  if (!find(id)) return false;
  metadata::update(tx_, "tokens", Values().set("revoked_at", at), "id = :id AND revoked_at IS NULL",
                   Values().set("id", id));
  return true;
}

void Tokens::revoke_sessions(const std::string& account_id, const std::string& but, core::Timestamp at) {
  metadata::update(tx_, "tokens", Values().set("revoked_at", at),
                   "kind IN ('session', 'refresh') AND account_id = :account AND id <> :but AND revoked_at IS NULL",
                   Values().set("account", account_id).set("but", but));
  // It would end with what refreshed it.
  metadata::update(tx_, "tokens", Values().set("key_id", std::string()), "id = :but AND kind = 'session'",
                   Values().set("but", but));
}

std::size_t Tokens::prune(core::Timestamp at) {
  return Query(tx_, "DELETE FROM tokens WHERE kind <> 'key' AND (expires_at <= :at OR revoked_at <= :at)")
      .bind(Values().set("at", at))
      .run();
}

}  // namespace backstay::metadata
