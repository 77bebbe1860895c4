#include "codec/hash.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "core/error.h"

namespace backstay::codec {
namespace {

void check(int ok, const char* what) {
  if (ok != 1) throw core::Error(core::Code::kInternal, std::string(what) + " failed in the cryptographic library");
}

const unsigned char* data_of(core::ByteSpan bytes) { return reinterpret_cast<const unsigned char*>(bytes.data()); }
unsigned char* data_of(core::MutableByteSpan bytes) { return reinterpret_cast<unsigned char*>(bytes.data()); }

}  // namespace

void Sha256::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  check(EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr), "sha256");
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(core::ByteSpan data) {
  check(EVP_DigestUpdate(context_.get(), data.data(), data.size()), "sha256");
}

Digest Sha256::finish() {
  Digest digest{};
  check(EVP_DigestFinal_ex(context_.get(), data_of(core::MutableByteSpan(digest)), nullptr), "sha256");
  return digest;
}

void Sha256::reset() { check(EVP_DigestInit_ex(context_.get(), nullptr, nullptr), "sha256"); }

Digest sha256(core::ByteSpan data) {
  Digest digest{};
  check(EVP_Digest(data.data(), data.size(), data_of(core::MutableByteSpan(digest)), nullptr, EVP_sha256(), nullptr),
        "sha256");
  return digest;
}

Digest hmac_sha256(core::ByteSpan key, core::ByteSpan data) {
  Digest digest{};
  unsigned length = 0;
  // A null key would mean "the key of last time".
  static constexpr unsigned char kEmpty = 0;
  const unsigned char* const result =
      HMAC(EVP_sha256(), key.empty() ? &kEmpty : data_of(key), static_cast<int>(key.size()), data_of(data), data.size(),
           data_of(core::MutableByteSpan(digest)), &length);
  check(result != nullptr && length == digest.size() ? 1 : 0, "hmac");
  return digest;
}

core::Bytes hkdf_sha256(core::ByteSpan key, core::ByteSpan salt, core::ByteSpan info, std::size_t length) {
  constexpr std::size_t kHash = 32;
  if (length > 255 * kHash) throw core::Error(core::Code::kInternal, "hkdf cannot give that many bytes");
  const Digest zeros{};
  const Digest extracted = hmac_sha256(salt.empty() ? core::ByteSpan(zeros) : salt, key);
  core::Bytes out;
  core::Bytes block;
  for (unsigned counter = 1; out.size() < length; ++counter) {
    core::append(block, info);
    block.push_back(static_cast<std::byte>(counter));
    const Digest digest = hmac_sha256(extracted, block);
    core::append(out, digest);
    block.assign(digest.begin(), digest.end());
  }
  out.resize(length);
  return out;
}

core::Bytes pbkdf2_hmac_sha256(core::ByteSpan password, core::ByteSpan salt, std::uint32_t iterations,
                               std::size_t length) {
  core::Bytes out(length);
  const std::string_view text = core::as_text(password);
  check(PKCS5_PBKDF2_HMAC(text.data(), static_cast<int>(text.size()), data_of(salt), static_cast<int>(salt.size()),
                          static_cast<int>(iterations), EVP_sha256(), static_cast<int>(length),
                          data_of(core::MutableByteSpan(out))),
        "pbkdf2");
  return out;
}

std::array<std::byte, 16> md5(core::ByteSpan data) {
  std::array<std::byte, 16> digest{};
  check(EVP_Digest(data.data(), data.size(), data_of(core::MutableByteSpan(digest)), nullptr, EVP_md5(), nullptr),
        "md5");
  return digest;
}

}  // namespace backstay::codec
