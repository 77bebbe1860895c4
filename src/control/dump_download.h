// Logical backups as files for people, and whether there can be any.
#pragma once

#include <functional>
#include <stop_token>
#include <string>

#include "control/provider.h"
#include "control/provider_registry.h"
#include "metadata/database.h"
#include "model/service.h"

namespace backstay::control {

/// A dump that was found readable, not yet begun.
struct DumpDownload {
  /// "shop-2026-01-31T120000Z.sql"
  std::string file_name;
  std::function<void(const TextSink& sink, std::stop_token stop)> write;
};

/// Throws Error(not_supported), with the reason, if no logical backup of the service can be taken.
void require_logical(metadata::Transaction& tx, const ProviderRegistry& providers, const model::Service& service);

}  // namespace backstay::control
