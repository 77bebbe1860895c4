// Published providers in the state store. What is built in is not here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/json.h"
#include "core/secret.h"
#include "core/time.h"
#include "metadata/database.h"
#include "model/provider.h"

namespace backstay::metadata {

/// A provider as it was published.
struct PublishedProvider {
  std::string name{};
  std::string version{};
  /// Without the secret of its backend.
  core::json::object document{};
  core::Secret secret{};
  model::ProviderScope scope{};
  core::Timestamp created_at{};
};

class Providers {
 public:
  explicit Providers(Transaction& tx) : tx_(tx) {}
  /// Throws Error(already_exists).
  void insert(const PublishedProvider& provider);
  std::optional<PublishedProvider> find(const std::string& name, const std::string& version);
  /// By name and version.
  std::vector<PublishedProvider> list();
  /// Writes all but the creation. Throws Error(not_found).
  void update(const PublishedProvider& provider);
  /// False if there is none.
  bool remove(const std::string& name, const std::string& version);
  /// Rises with every change of any provider.
  std::int64_t revision();

 private:
  Transaction& tx_;
};

}  // namespace backstay::metadata
