#include "control/provider.h"

#include "core/error.h"

namespace backstay::control {
namespace {

model::Catalogue gather(const std::vector<std::unique_ptr<Provider>>& providers) {
  std::vector<model::ProviderDefinition> offers;
  for (const auto& provider : providers) {
    for (auto& offer : provider->offers()) offers.push_back(std::move(offer));
  }
  return model::Catalogue(std::move(offers));
}

}  // namespace

ProviderRegistry::ProviderRegistry(std::vector<std::unique_ptr<Provider>> providers)
    : providers_(std::move(providers)), catalogue_(gather(providers_)) {}

Provider& ProviderRegistry::of_kind(std::string_view kind) const {
  for (const auto& provider : providers_) {
    if (provider->kind() == kind) return *provider;
  }
  throw core::Error(core::Code::kUnknownProvider,
                    fmt::format("no provider of kind '{}' is part of this program", kind));
}

}  // namespace backstay::control
