#include "control/provider_registry.h"

#include <algorithm>

#include "core/error.h"
#include "core/log.h"
#include "model/provider_document.h"

namespace backstay::control {
namespace {

std::vector<model::ProviderDefinition> gather(const std::vector<std::unique_ptr<Provider>>& providers) {
  std::vector<model::ProviderDefinition> offers;
  for (const auto& provider : providers) {
    for (auto& offer : provider->offers()) offers.push_back(std::move(offer));
  }
  return offers;
}

}  // namespace

model::ProviderDefinition offer_of(const metadata::PublishedProvider& published) {
  auto offer = model::provider_from_document(published.document);
  offer.backend->secret = published.secret;
  offer.scope = published.scope;
  offer.created_at = published.created_at;
  return offer;
}

ProviderRegistry::ProviderRegistry(std::vector<std::unique_ptr<Provider>> providers)
    : providers_(std::move(providers)),
      built_in_(gather(providers_)),
      catalogue_(std::make_shared<const model::Catalogue>(built_in_)) {}

std::shared_ptr<const model::Catalogue> ProviderRegistry::catalogue() const {
  const core::LockGuard lock(mutex_);
  return catalogue_;
}

std::optional<model::ProviderDefinition> ProviderRegistry::find(std::string_view name, std::string_view version) const {
  const auto snapshot = catalogue();
  const auto* found = snapshot->find(name, version);
  return found == nullptr ? std::nullopt : std::optional(*found);
}

Provider& ProviderRegistry::of_kind(std::string_view kind) const {
  for (const auto& provider : providers_) {
    if (provider->kind() == kind) return *provider;
  }
  throw core::Error(core::Code::kUnknownProvider,
                    fmt::format("no provider of kind '{}' is part of this program", kind));
}

Provider& ProviderRegistry::any_local() const {
  for (const auto& provider : providers_) {
    if (provider->is_local()) return *provider;
  }
  throw core::Error(core::Code::kUnknownProvider, "no provider of this program keeps backups");
}

bool ProviderRegistry::is_built_in(std::string_view name) const {
  return std::ranges::find(built_in_, name, &model::ProviderDefinition::name) != built_in_.end();
}

void ProviderRegistry::refresh(metadata::Database& database) {
  std::int64_t revision = 0;
  std::vector<metadata::PublishedProvider> published;
  {
    auto tx = database.begin(metadata::Access::kRead);
    revision = metadata::Providers(tx).revision();
    {
      const core::LockGuard lock(mutex_);
      if (revision <= revision_) return;
    }
    published = metadata::Providers(tx).list();
  }
  auto offers = built_in_;
  for (const auto& one : published) {
    try {
      offers.push_back(offer_of(one));
    } catch (const core::Error& error) {
      core::log_error("provider.unreadable", error.message(), {{"provider", one.name}, {"version", one.version}});
    }
  }
  auto catalogue = std::make_shared<const model::Catalogue>(std::move(offers));
  const core::LockGuard lock(mutex_);
  // Whoever read a later state may have been faster.
  if (revision <= revision_) return;
  revision_ = revision;
  catalogue_ = std::move(catalogue);
}

}  // namespace backstay::control
