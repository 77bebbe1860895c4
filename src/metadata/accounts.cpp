#include "metadata/accounts.h"

#include "core/error.h"
#include "metadata/query.h"

namespace backstay::metadata {
namespace {

Values owned(const model::Account& account) {
  return Values()
      .set("email", account.email)
      .set("first_name", account.first_name)
      .set("last_name", account.last_name)
      .set("role", std::string(model::to_text(account.role)))
      .set("team_ids", core::json::array(account.team_ids.begin(), account.team_ids.end()))
      .set("password_hash", account.password_hash)
      .set("updated_at", account.updated_at)
      .set("last_login_at", account.last_login_at);
}

model::Account read_account(const Row& row) {
  model::Account account;
  account.id = row.text("id");
  account.email = row.text("email");
  account.first_name = row.text("first_name");
  account.last_name = row.text("last_name");
  account.role = model::account_role_from_text(row.text("role"));
  for (const auto& team : row.array("team_ids")) account.team_ids.push_back(team.to_number<std::int64_t>());
  account.password_hash = row.text("password_hash");
  account.created_at = row.time("created_at");
  account.updated_at = row.time("updated_at");
  account.last_login_at = row.maybe_time("last_login_at");
  return account;
}

std::optional<model::Account> find_account(Transaction& tx, const std::string& column, const std::string& value) {
  return Query(tx, "SELECT * FROM accounts WHERE " + column + " = :" + column)
      .bind(Values().set(column, value))
      .first<model::Account>(read_account);
}

}  // namespace

void Accounts::insert(const model::Account& account) {
  auto values = owned(account);
  values.set("id", account.id).set("created_at", account.created_at);
  metadata::insert(tx_, "accounts", values);
}

void Accounts::update(const model::Account& account) {
  if (metadata::update(tx_, "accounts", owned(account), "id = :id", Values().set("id", account.id)) == 0) {
    throw core::Error(core::Code::kNotFound, "the account '" + account.id + "' does not exist");
  }
}

bool Accounts::remove(const std::string& id) {
  if (!find(id)) return false;
  Query(tx_, "DELETE FROM tokens WHERE account_id = :id").bind(Values().set("id", id)).run();
  Query(tx_, "DELETE FROM accounts WHERE id = :id").bind(Values().set("id", id)).run();
  return true;
}

std::optional<model::Account> Accounts::find(const std::string& id) { return find_account(tx_, "id", id); }

std::optional<model::Account> Accounts::find_by_email(const std::string& email) {
  return find_account(tx_, "email", email);
}

std::vector<model::Account> Accounts::list() {
  return Query(tx_, "SELECT * FROM accounts ORDER BY created_at, id").list<model::Account>(read_account);
}

bool Accounts::any() {
  return Query(tx_, "SELECT id FROM accounts LIMIT 1")
      .first<bool>([](const Row& /*row*/) { return true; })
      .value_or(false);
}

}  // namespace backstay::metadata
