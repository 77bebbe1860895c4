// What a service may store, and what it was seen to store.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "metadata/database.h"
#include "model/service.h"

namespace backstay::control {

/// In bytes; 0 where the plan does not say.
std::uint64_t storage_limit(const model::Service& service);

/// The name that it has among the settings.
std::string storage_used_key(const std::string& instance_id);
/// What was measured last, in bytes; 0 if nothing was.
std::uint64_t known_use(metadata::Transaction& tx, const std::string& instance_id);
/// Keeps what was measured, but for small changes, which are not worth a write.
void note_storage_used(metadata::Database& database, const std::string& instance_id, std::uint64_t used);

/// Throws Error(plan_too_small) for a plan that gives less storage than before, and less than was seen to be used.
void check_storage_fits(metadata::Database& database, const model::Service& before, const model::Service& wanted);

}  // namespace backstay::control
