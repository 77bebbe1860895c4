#include "repository/description.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "codec/hash.h"
#include "core/error.h"

namespace backstay::repository::detail {
namespace {

constexpr std::string_view kInfo = "backstay description check v1";
constexpr std::size_t kKeySize = 32;
/// In the order in which they are joined.
constexpr std::array<std::string_view, 5> kFields = {"format", "version", "repository", "created", "dataKey"};

}  // namespace

std::string description_check(const DataKey& data_key, const core::json::object& description) {
  std::string joined;
  for (const std::string_view field : kFields) {
    const std::string value = field == "version" ? std::to_string(core::require_int(description, field))
                                                 : core::require_string(description, field);
    joined += fmt::format("{}={}\n", field, value);
  }
  const core::Bytes key = codec::hkdf_sha256(data_key.bytes(), {}, core::as_bytes(kInfo), kKeySize);
  return core::to_base64(codec::hmac_sha256(key, core::as_bytes(joined)));
}

bool check_description(const DataKey& data_key, core::ByteSpan bytes) {
  const auto damaged = [](const std::string& what) {
    return core::Error(core::Code::kCorruptData, fmt::format("'{}' was changed: {}", kDescriptionKey, what));
  };
  try {
    const core::json::value value = core::parse_json(core::as_text(bytes));
    const core::json::object& description = core::as_object(value);
    for (const auto& [name, field] : description) {
      const std::string_view known(name);
      if (known != "check" && std::ranges::find(kFields, known) == kFields.end()) {
        throw damaged(fmt::format("it has a field '{}'", known));
      }
    }
    const std::string expected = description_check(data_key, description);
    const auto check = core::find_string(description, "check");
    if (!check) return false;
    if (*check != expected) throw damaged("its check does not fit its fields");
    return true;
  } catch (const core::Error& error) {
    if (error.code() == core::Code::kCorruptData) throw;
    throw damaged(error.message());
  }
}

}  // namespace backstay::repository::detail
