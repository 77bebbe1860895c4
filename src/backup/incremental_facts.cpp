#include "backup/incremental_facts.h"

#include "core/json.h"
#include "core/text.h"

namespace backstay::backup {
namespace {

constexpr auto kKey = "incremental";

std::uint64_t number_of(const core::json::object& from, std::string_view key) {
  return static_cast<std::uint64_t>(core::parse_int(core::find_string(from, key).value_or("")).value_or(0));
}

}  // namespace

void put_facts(repository::BackupRecord& record, const IncrementalFacts& facts) {
  core::json::object object{{"depth", std::to_string(facts.depth)},
                            {"fullTime", core::format_time(facts.full_time)},
                            {"readBytes", std::to_string(facts.read_bytes)},
                            {"keptPages", std::to_string(facts.kept_pages)},
                            {"checksums", facts.checksums}};
  if (!facts.base.empty()) object["base"] = facts.base;
  if (facts.compared_wal > 0) object["comparedWal"] = std::to_string(facts.compared_wal);
  if (!facts.not_compared.empty()) object["notCompared"] = facts.not_compared;
  if (!facts.reason.empty()) object["unproven"] = facts.reason;
  if (!facts.mismatch.empty()) object["mismatch"] = facts.mismatch;
  record.details[kKey] = std::move(object);
}

IncrementalFacts facts_of(const repository::BackupRecord& record) {
  IncrementalFacts facts;
  facts.full_time = record.start_time;
  facts.read_bytes = record.data_size;
  const auto* object = core::find_object(record.details, kKey, "/details");
  if (object == nullptr) return facts;
  facts.base = core::find_string(*object, "base").value_or("");
  facts.depth = static_cast<std::uint32_t>(number_of(*object, "depth"));
  facts.full_time = core::parse_time(core::require_string(*object, "fullTime"));
  facts.read_bytes = number_of(*object, "readBytes");
  facts.kept_pages = number_of(*object, "keptPages");
  facts.compared_wal = number_of(*object, "comparedWal");
  facts.not_compared = core::find_string(*object, "notCompared").value_or("");
  facts.reason = core::find_string(*object, "unproven").value_or("");
  facts.mismatch = core::find_string(*object, "mismatch").value_or("");
  facts.checksums = core::find_bool(*object, "checksums").value_or(false);
  return facts;
}

}  // namespace backstay::backup
