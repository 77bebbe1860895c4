#include "notify/signature.h"

#include <fmt/format.h>

#include "codec/hash.h"
#include "core/bytes.h"
#include "core/error.h"

namespace backstay::notify {
namespace {

constexpr std::string_view kPrefix = "whsec_";

}  // namespace

std::string signed_time(core::Timestamp at) {
  return std::to_string(std::chrono::floor<std::chrono::seconds>(at).time_since_epoch().count());
}

std::string sign(const core::Secret& secret, std::string_view id, core::Timestamp at, std::string_view body) {
  const std::string_view text = secret.reveal();
  if (!text.starts_with(kPrefix)) {
    throw core::Error(core::Code::kInvalidArgument, "a webhook's secret does not begin with 'whsec_'");
  }
  const auto key = core::from_base64(text.substr(kPrefix.size()));
  const auto message = fmt::format("{}.{}.{}", id, signed_time(at), body);
  return "v1," + core::to_base64(codec::hmac_sha256(key, core::as_bytes(message)));
}

}  // namespace backstay::notify
