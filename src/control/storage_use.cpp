#include "control/storage_use.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/text.h"
#include "metadata/settings.h"

namespace backstay::control {
namespace {

/// The part of itself by which it must have changed.
constexpr std::uint64_t kWorthAWrite = 16;

}  // namespace

std::uint64_t storage_limit(const model::Service& service) {
  const auto found = service.plan.resources.find("storage");
  return found == service.plan.resources.end() ? 0 : static_cast<std::uint64_t>(found->second) << 20;
}

std::string storage_used_key(const std::string& instance_id) { return "instance/" + instance_id + "/storage-used"; }

std::uint64_t known_use(metadata::Transaction& tx, const std::string& instance_id) {
  const auto known = metadata::Settings(tx).get(storage_used_key(instance_id));
  return known ? static_cast<std::uint64_t>(core::parse_int(*known).value_or(0)) : 0;
}

void note_storage_used(metadata::Database& database, const std::string& instance_id, std::uint64_t used) {
  const auto known = database.read([&](auto& tx) { return known_use(tx, instance_id); });
  const auto change = used > known ? used - known : known - used;
  if (change <= known / kWorthAWrite) return;
  database.write([&](auto& tx) { metadata::Settings(tx).put(storage_used_key(instance_id), std::to_string(used)); });
}

void check_storage_fits(metadata::Database& database, const model::Service& before, const model::Service& wanted) {
  const auto limit = storage_limit(wanted);
  if (limit == 0 || limit >= storage_limit(before)) return;
  const auto used = database.read([&](auto& tx) { return known_use(tx, before.status.instance_id); });
  if (used <= limit) return;
  throw core::Error(core::Code::kPlanTooSmall,
                    fmt::format("the data is {}, the plan has {}", core::format_bytes(used), core::format_bytes(limit)))
      .with_field("/plan/parameters/storage", "is too small for the data");
}

}  // namespace backstay::control
