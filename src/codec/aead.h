// Authenticated encryption: AES-256-GCM.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "core/bytes.h"

struct evp_cipher_ctx_st;

namespace backstay::codec {

constexpr std::size_t kAeadKeySize = 32;
constexpr std::size_t kAeadTagSize = 16;
using Nonce = std::array<std::byte, 12>;

/// A key with its prepared contexts. One thread at a time. The same nonce must never seal twice under one key.
class Aead {
 public:
  /// Throws Error(invalid_argument) if the key does not have 32 bytes.
  explicit Aead(core::ByteSpan key);
  ~Aead();
  Aead(Aead&&) noexcept;
  Aead& operator=(Aead&&) noexcept;

  /// Takes another key without allocating.
  void set_key(core::ByteSpan key);
  /// Writes ciphertext and tag: `out` has plain.size() + 16 bytes. In place (out begins where plain does) is fine.
  void seal(const Nonce& nonce, core::ByteSpan associated, core::ByteSpan plain, core::MutableByteSpan out);
  /// False if key, nonce, associated data or any bit of `sealed` is not what was sealed; `out` (sealed.size() - 16
  /// bytes) is then zeroed.
  [[nodiscard]] bool open(const Nonce& nonce, core::ByteSpan associated, core::ByteSpan sealed,
                          core::MutableByteSpan out);

 private:
  struct Free {
    void operator()(evp_cipher_ctx_st* context) const;
  };
  std::unique_ptr<evp_cipher_ctx_st, Free> seal_;
  std::unique_ptr<evp_cipher_ctx_st, Free> open_;
};

}  // namespace backstay::codec
