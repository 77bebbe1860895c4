// What can be deployed here: what the providers of this program offer, and what was published beside it.
//
// What was published lives in the state; every server of the state follows it. Readers work on a snapshot, which does
// not change under them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/provider.h"
#include "core/mutex.h"
#include "metadata/database.h"
#include "metadata/providers.h"
#include "model/catalogue.h"

namespace backstay::control {

/// Thread-safe.
class ProviderRegistry {
 public:
  explicit ProviderRegistry(std::vector<std::unique_ptr<Provider>> providers);

  /// The offers as they are now.
  [[nodiscard]] std::shared_ptr<const model::Catalogue> catalogue() const;
  /// One offer as it is now; nothing if it is not there (any more).
  [[nodiscard]] std::optional<model::ProviderDefinition> find(std::string_view name, std::string_view version) const;
  /// The backend of a kind. Throws Error(unknown_provider).
  [[nodiscard]] Provider& of_kind(std::string_view kind) const;
  /// Any that keeps its backups in repositories. Throws Error(unknown_provider).
  [[nodiscard]] Provider& any_local() const;
  /// True for a name that a provider of this program offers: nobody else may take it.
  [[nodiscard]] bool is_built_in(std::string_view name) const;

  /// Takes over what was published, if that has changed since the last time. A document that this program does not
  /// accept (it was published with another version) is logged and left out.
  void refresh(metadata::Database& database);

 private:
  const std::vector<std::unique_ptr<Provider>> providers_;
  const std::vector<model::ProviderDefinition> built_in_;
  mutable core::Mutex mutex_;
  std::shared_ptr<const model::Catalogue> catalogue_ GUARDED_BY(mutex_);
  std::int64_t revision_ GUARDED_BY(mutex_) = 0;
};

/// What was published, as an offer. Throws what model::provider_from_document throws.
model::ProviderDefinition offer_of(const metadata::PublishedProvider& published);

}  // namespace backstay::control
