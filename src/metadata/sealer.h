// Seals secret columns: AES-256-GCM under a key derived from the master key, bound to table, column and row.
#pragma once

#include <string>
#include <string_view>

#include "codec/aead.h"
#include "core/random.h"
#include "core/secret.h"
#include "metadata/database.h"
#include "model/secrets.h"

namespace backstay::metadata {

/// Where a sealed value lives; a value moved elsewhere does not open.
struct SealedPlace {
  std::string_view table;
  std::string_view column;
  std::string_view row;
};

/// One thread at a time.
class Sealer {
 public:
  Sealer(const MasterKey& key, core::Random& random);

  /// Base64 of nonce, ciphertext and tag; an empty text stays empty.
  std::string seal(const SealedPlace& place, std::string_view plain);
  /// Throws Error(corrupt_data) if it was not sealed for this place with this key.
  core::Secret open(const SealedPlace& place, std::string_view sealed);

  std::string seal(const SealedPlace& place, const model::Secrets& secrets);
  model::Secrets open_all(const SealedPlace& place, std::string_view sealed);

 private:
  codec::Aead aead_;
  core::Random& random_;
};

}  // namespace backstay::metadata
