// What destinations open and the probe looks into: a driver without its decorators. Private to blob.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "blob/destination.h"
#include "blob/directory_store.h"
#include "blob/store.h"

namespace backstay::blob {

/// What a store says about itself beyond the contract.
class StoreDiagnostics {
 public:
  virtual ~StoreDiagnostics() = default;
  /// The store's clock, from any answer of it.
  virtual core::Timestamp store_time() = 0;
  /// True if old versions of replaced and removed objects are kept.
  virtual bool versioning() = 0;
  /// How objects are locked by default, in words; nothing if they are not.
  virtual std::optional<std::string> object_lock() = 0;
};

struct Driver {
  std::unique_ptr<Store> store;
  StoreDiagnostics* diagnostics = nullptr;  // part of the store; null if it has none
};

Driver open_driver(const DestinationConfig& config, const StorePolicy& policy, const StoreContext& context);
Driver open_s3(const DestinationConfig& config, const StorePolicy& policy, const StoreContext& context);
std::unique_ptr<Store> decorate(std::unique_ptr<Store> store, const RetryPolicy& retry, const StoreContext& context);

}  // namespace backstay::blob
