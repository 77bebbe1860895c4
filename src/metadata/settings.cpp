#include "metadata/settings.h"

#include "metadata/query.h"
#include "metadata/sealer.h"

namespace backstay::metadata {

std::optional<std::string> Settings::get(const std::string& key) {
  return Query(tx_, "SELECT value FROM settings WHERE key = :key")
      .bind(Values().set("key", key))
      .first<std::string>([](const Row& row) { return row.text("value"); });
}

void Settings::put(const std::string& key, const std::string& value) {
  Query(tx_,
        "INSERT INTO settings (key, value) VALUES (:key, :value) "
        "ON CONFLICT (key) DO UPDATE SET value = excluded.value")
      .bind(Values().set("key", key).set("value", value))
      .run();
}

std::optional<core::Secret> Settings::get_secret(const std::string& key) {
  const auto sealed = get(key);
  if (!sealed) return std::nullopt;
  return tx_.sealer().open({.table = "settings", .column = "value", .row = key}, *sealed);
}

void Settings::put_secret(const std::string& key, const core::Secret& value) {
  put(key, tx_.sealer().seal({.table = "settings", .column = "value", .row = key}, value.reveal()));
}

void Settings::remove(const std::string& key) {
  Query(tx_, "DELETE FROM settings WHERE key = :key").bind(Values().set("key", key)).run();
}

}  // namespace backstay::metadata
