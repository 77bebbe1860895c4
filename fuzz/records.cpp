// The sealed JSON of a repository: records of instances and backups, indexes of WAL segments.
#include "repository/records.h"
#include "core/json.h"
#include "fuzz.h"
#include "repository/segment_index.h"

namespace {

using namespace backstay;  // NOLINT(google-build-using-namespace)

/// What was read once is read the same again.
template <typename Read>
void read_twice(const core::json::value& value, const Read& read) {
  fuzz::parses({core::Code::kCorruptData}, [&] {
    const auto text = core::to_text(repository::to_json(read(value)));
    fuzz::require(core::to_text(repository::to_json(read(core::parse_json(text)))) == text,
                  "a record is kept as it is");
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = core::as_text(fuzz::Input(data, size).rest());
  core::json::value value;
  if (!fuzz::parses({core::Code::kMalformedJson}, [&] { value = core::parse_json(text); })) return 0;
  read_twice(value, [](const auto& json) { return repository::instance_record_from_json(json); });
  read_twice(value, [](const auto& json) { return repository::backup_record_from_json(json); });
  read_twice(value, [](const auto& json) { return repository::segment_index_from_json(json); });
  return 0;
}
