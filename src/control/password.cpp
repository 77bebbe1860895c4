#include "control/password.h"

#include <fmt/format.h>

#include "codec/hash.h"
#include "core/bytes.h"
#include "core/text.h"

namespace backstay::control {
namespace {

constexpr std::string_view kScheme = "pbkdf2-sha256";
constexpr std::size_t kSaltBytes = 16;
constexpr std::size_t kKeyBytes = 32;

std::string derived(const core::Secret& password, std::string_view salt, std::uint32_t rounds) {
  const auto key =
      codec::pbkdf2_hmac_sha256(core::as_bytes(password.reveal()), core::as_bytes(salt), rounds, kKeyBytes);
  return fmt::format("{}:{}:{}:{}", kScheme, rounds, salt, core::to_hex(key));
}

}  // namespace

std::string hash_password(const core::Secret& password, std::uint32_t rounds, core::Random& random) {
  return derived(password, core::to_hex(random.bytes(kSaltBytes)), rounds);
}

bool matches_password(const core::Secret& password, std::string_view hash) {
  const auto parts = core::split(hash, ':');
  if (parts.size() != 4 || parts[0] != kScheme) return false;
  const auto rounds = core::parse_int(parts[1]);
  if (!rounds || *rounds < 1 || *rounds > 100'000'000) return false;
  return core::equal_in_constant_time(derived(password, parts[2], static_cast<std::uint32_t>(*rounds)), hash);
}

}  // namespace backstay::control
