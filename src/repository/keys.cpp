#include "repository/keys.h"

#include <algorithm>

#include <fmt/format.h>

#include "codec/aead.h"
#include "codec/hash.h"
#include "core/error.h"
#include "core/text.h"

namespace backstay::repository {
namespace {

constexpr std::string_view kPrefix = "bsk1";
// Crockford's base32: no I, L, O and U, so that what looks alike is alike.
constexpr std::string_view kAlphabet = "0123456789abcdefghjkmnpqrstvwxyz";
constexpr std::size_t kChecksumSize = 3;
constexpr std::size_t kCharacters = (32 + kChecksumSize) * 8 / 5;
constexpr std::size_t kGroupLength = 8;

std::array<std::byte, kChecksumSize> checksum(core::ByteSpan key) {
  core::Bytes input = core::to_bytes("backstay recovery key v1");
  core::append(input, key);
  const codec::Digest digest = codec::sha256(input);
  return {digest[0], digest[1], digest[2]};
}

[[noreturn]] void refuse(const std::string& why) {
  throw core::Error(core::Code::kInvalidArgument, "the recovery key is not right: " + why)
      .with_hint("copy it again from the recovery kit; it begins with bsk1- and has seven groups of eight characters");
}

/// The values of the characters behind the prefix, five bits each.
std::vector<unsigned> read_characters(std::string_view text) {
  std::vector<unsigned> values;
  for (const char c : text) {
    if (c == '-' || c == ' ' || c == '\t' || c == '\n' || c == '\r') continue;
    const char plain = c == 'o' ? '0' : c == 'i' || c == 'l' ? '1' : c;
    const auto value = kAlphabet.find(plain);
    if (value == std::string_view::npos) {
      refuse(fmt::format("character {} behind the prefix is none that a recovery key has", values.size() + 1));
    }
    values.push_back(static_cast<unsigned>(value));
  }
  return values;
}

constexpr std::size_t kNonceSize = 12;

codec::Nonce nonce_at(core::ByteSpan bytes) {
  codec::Nonce nonce{};
  std::copy_n(bytes.begin(), kNonceSize, nonce.begin());
  return nonce;
}

}  // namespace

KeyBytes::KeyBytes(core::ByteSpan bytes) {
  if (bytes.size() != bytes_.size()) throw core::Error(core::Code::kInvalidArgument, "a key has 32 bytes");
  std::copy(bytes.begin(), bytes.end(), bytes_.begin());
}

KeyBytes::~KeyBytes() {
  volatile std::byte* at = bytes_.data();
  for (std::size_t i = 0; i < bytes_.size(); ++i) at[i] = std::byte{0};
}

KeyBytes KeyBytes::generate(core::Random& random) {
  KeyBytes key;
  random.fill(key.bytes_);
  return key;
}

core::Secret format_recovery_key(const TeamKey& key) {
  core::Bytes payload(key.bytes().begin(), key.bytes().end());
  core::append(payload, checksum(key.bytes()));
  std::string text(kPrefix);
  unsigned bits = 0;
  unsigned have = 0;
  std::size_t written = 0;
  for (const std::byte byte : payload) {
    bits = (bits << 8 | std::to_integer<unsigned>(byte)) & 0xfff;
    for (have += 8; have >= 5; have -= 5) {
      if (written++ % kGroupLength == 0) text += '-';
      text += kAlphabet[bits >> (have - 5) & 31];
    }
  }
  return core::Secret(std::move(text));
}

TeamKey parse_recovery_key(std::string_view text) {
  const std::string lower = core::to_lower(core::trim(text));
  if (!lower.starts_with(kPrefix)) refuse("it does not begin with 'bsk1-'");
  const std::vector<unsigned> values = read_characters(std::string_view(lower).substr(kPrefix.size()));
  if (values.size() != kCharacters) {
    refuse(fmt::format("it has {} characters behind the prefix instead of {}", values.size(), kCharacters));
  }
  core::Bytes payload;
  unsigned bits = 0;
  unsigned have = 0;
  for (const unsigned value : values) {
    bits = (bits << 5 | value) & 0xfff;
    have += 5;
    if (have < 8) continue;
    have -= 8;
    payload.push_back(static_cast<std::byte>(bits >> have));
  }
  const auto key = core::ByteSpan(payload).first(32);
  const auto sum = checksum(key);
  if (!std::equal(sum.begin(), sum.end(), payload.begin() + 32)) refuse("at least one character is mistyped");
  return TeamKey(key);
}

core::Bytes wrap_data_key(const TeamKey& team_key, const DataKey& data_key, std::string_view repository_id,
                          core::Random& random) {
  core::Bytes wrapped = random.bytes(kNonceSize);
  wrapped.resize(kNonceSize + data_key.bytes().size() + codec::kAeadTagSize);
  codec::Aead(team_key.bytes())
      .seal(nonce_at(wrapped), core::as_bytes(repository_id), data_key.bytes(),
            core::MutableByteSpan(wrapped).subspan(kNonceSize));
  return wrapped;
}

DataKey unwrap_data_key(const TeamKey& team_key, core::ByteSpan wrapped, std::string_view repository_id) {
  std::array<std::byte, 32> plain{};
  if (wrapped.size() != kNonceSize + plain.size() + codec::kAeadTagSize ||
      !codec::Aead(team_key.bytes())
           .open(nonce_at(wrapped), core::as_bytes(repository_id), wrapped.subspan(kNonceSize), plain)) {
    throw core::Error(core::Code::kWrongKey, fmt::format("the key does not open repository '{}'", repository_id));
  }
  return DataKey(plain);
}

}  // namespace backstay::repository
