// The one conformance suite of the store contract; every driver passes it.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "blob/store.h"

namespace backstay::blob::testing {

/// Makes an empty store for one test; what it needs besides the store lives as long as the returned object.
class StoreFixture {
 public:
  virtual ~StoreFixture() = default;
  virtual Store& store() = 0;
};
using StoreFixtureFactory = std::function<std::unique_ptr<StoreFixture>()>;

/// Registers the suite as "StoreConformance/<name>". Call it from a static initialiser or before RUN_ALL_TESTS.
/// Returns true, so that a static can hold the call.
bool register_store_conformance(const std::string& name, const StoreFixtureFactory& factory);

}  // namespace backstay::blob::testing
