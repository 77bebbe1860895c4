// Small facts by name: what the server has to remember about itself.
#pragma once

#include <optional>
#include <string>

#include "core/secret.h"
#include "metadata/database.h"

namespace backstay::metadata {

class Settings {
 public:
  explicit Settings(Transaction& tx) : tx_(tx) {}
  std::optional<std::string> get(const std::string& key);
  void put(const std::string& key, const std::string& value);
  /// The same for values that are sealed, such as a private key.
  std::optional<core::Secret> get_secret(const std::string& key);
  void put_secret(const std::string& key, const core::Secret& value);
  void remove(const std::string& key);

 private:
  Transaction& tx_;
};

}  // namespace backstay::metadata
