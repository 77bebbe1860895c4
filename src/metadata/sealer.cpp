#include "metadata/sealer.h"

#include "codec/hash.h"
#include "core/error.h"
#include "core/json.h"

namespace backstay::metadata {
namespace {

core::Bytes column_key(const MasterKey& key) {
  return codec::hkdf_sha256(key.bytes, {}, core::as_bytes("backstay state columns 1"), codec::kAeadKeySize);
}

/// Lengths keep ("ab","c") and ("a","bc") apart.
core::Bytes associated_data(const SealedPlace& place) {
  core::Bytes data;
  for (const auto part : {place.table, place.column, place.row}) {
    core::append_le(data, static_cast<std::uint32_t>(part.size()));
    core::append(data, core::as_bytes(part));
  }
  return data;
}

}  // namespace

Sealer::Sealer(const MasterKey& key, core::Random& random) : aead_(column_key(key)), random_(random) {}

std::string Sealer::seal(const SealedPlace& place, std::string_view plain) {
  if (plain.empty()) return "";
  codec::Nonce nonce;
  random_.fill(nonce);
  core::Bytes sealed(nonce.size() + plain.size() + codec::kAeadTagSize);
  std::ranges::copy(nonce, sealed.begin());
  aead_.seal(nonce, associated_data(place), core::as_bytes(plain), core::MutableByteSpan(sealed).subspan(nonce.size()));
  return core::to_base64(sealed);
}

core::Secret Sealer::open(const SealedPlace& place, std::string_view sealed) {
  if (sealed.empty()) return {};
  const auto bytes = core::from_base64(sealed);
  codec::Nonce nonce;
  if (bytes.size() > nonce.size() + codec::kAeadTagSize) {
    std::copy_n(bytes.begin(), nonce.size(), nonce.begin());
    std::string plain(bytes.size() - nonce.size() - codec::kAeadTagSize, '\0');
    if (aead_.open(nonce, associated_data(place), core::ByteSpan(bytes).subspan(nonce.size()),
                   std::as_writable_bytes(std::span(plain)))) {
      return core::Secret(std::move(plain));
    }
  }
  throw core::Error(core::Code::kCorruptData, "the secret in column '" + std::string(place.column) + "' of " +
                                                  std::string(place.table) + " '" + std::string(place.row) +
                                                  "' does not open with the master key");
}

std::string Sealer::seal(const SealedPlace& place, const model::Secrets& secrets) {
  if (secrets.empty()) return "";
  const core::Secret plain(core::to_text(model::reveal_all(secrets)));
  return seal(place, plain.reveal());
}

model::Secrets Sealer::open_all(const SealedPlace& place, std::string_view sealed) {
  const auto plain = open(place, sealed);
  if (plain.empty()) return {};
  return model::secrets_from_json(core::parse_json(plain.reveal()).as_object());
}

}  // namespace backstay::metadata
