// Digests, keyed digests and key derivation.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "core/bytes.h"

struct evp_md_ctx_st;

namespace backstay::codec {

using Digest = std::array<std::byte, 32>;

/// SHA-256 over a stream. `finish` may be called once; `reset` starts again without allocating.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  void update(core::ByteSpan data);
  Digest finish();
  void reset();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

Digest sha256(core::ByteSpan data);
Digest hmac_sha256(core::ByteSpan key, core::ByteSpan data);
/// RFC 5869, extract and expand; at most 8160 bytes.
core::Bytes hkdf_sha256(core::ByteSpan key, core::ByteSpan salt, core::ByteSpan info, std::size_t length);
core::Bytes pbkdf2_hmac_sha256(core::ByteSpan password, core::ByteSpan salt, std::uint32_t iterations,
                               std::size_t length);
/// For protocols that ask for it (Content-MD5); not for security.
std::array<std::byte, 16> md5(core::ByteSpan data);

}  // namespace backstay::codec
