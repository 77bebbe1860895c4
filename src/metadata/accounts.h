// Accounts in the state store.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "metadata/database.h"
#include "model/account.h"

namespace backstay::metadata {

class Accounts {
 public:
  explicit Accounts(Transaction& tx) : tx_(tx) {}
  /// Throws Error(already_exists) for an e-mail address that is taken.
  void insert(const model::Account& account);
  /// Writes all but id and when it was made. Throws Error(not_found), and Error(already_exists) as above.
  void update(const model::Account& account);
  /// With its tokens. False if it is not there.
  bool remove(const std::string& id);
  std::optional<model::Account> find(const std::string& id);
  std::optional<model::Account> find_by_email(const std::string& email);
  /// By when they were made.
  std::vector<model::Account> list();
  bool any();

 private:
  Transaction& tx_;
};

}  // namespace backstay::metadata
