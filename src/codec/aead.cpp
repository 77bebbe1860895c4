#include "codec/aead.h"

#include <algorithm>

#include <openssl/evp.h>

#include "core/error.h"

namespace backstay::codec {
namespace {

void check(int ok) {
  if (ok != 1) throw core::Error(core::Code::kInternal, "aes-256-gcm failed in the cryptographic library");
}

const unsigned char* data_of(core::ByteSpan bytes) { return reinterpret_cast<const unsigned char*>(bytes.data()); }
unsigned char* data_of(core::MutableByteSpan bytes) { return reinterpret_cast<unsigned char*>(bytes.data()); }

}  // namespace

void Aead::Free::operator()(evp_cipher_ctx_st* context) const { EVP_CIPHER_CTX_free(context); }

Aead::Aead(core::ByteSpan key) : seal_(EVP_CIPHER_CTX_new()), open_(EVP_CIPHER_CTX_new()) {
  check(EVP_EncryptInit_ex(seal_.get(), EVP_aes_256_gcm(), nullptr, nullptr, nullptr));
  check(EVP_DecryptInit_ex(open_.get(), EVP_aes_256_gcm(), nullptr, nullptr, nullptr));
  set_key(key);
}
Aead::~Aead() = default;
Aead::Aead(Aead&&) noexcept = default;
Aead& Aead::operator=(Aead&&) noexcept = default;

void Aead::set_key(core::ByteSpan key) {
  if (key.size() != kAeadKeySize) throw core::Error(core::Code::kInvalidArgument, "an AES-256 key has 32 bytes");
  check(EVP_EncryptInit_ex(seal_.get(), nullptr, nullptr, data_of(key), nullptr));
  check(EVP_DecryptInit_ex(open_.get(), nullptr, nullptr, data_of(key), nullptr));
}

void Aead::seal(const Nonce& nonce, core::ByteSpan associated, core::ByteSpan plain, core::MutableByteSpan out) {
  if (out.size() != plain.size() + kAeadTagSize) throw core::Error(core::Code::kInternal, "seal: wrong room");
  int length = 0;
  check(EVP_EncryptInit_ex(seal_.get(), nullptr, nullptr, nullptr, data_of(core::ByteSpan(nonce))));
  check(EVP_EncryptUpdate(seal_.get(), nullptr, &length, data_of(associated), static_cast<int>(associated.size())));
  check(EVP_EncryptUpdate(seal_.get(), data_of(out), &length, data_of(plain), static_cast<int>(plain.size())));
  check(EVP_EncryptFinal_ex(seal_.get(), data_of(out) + length, &length));
  check(EVP_CIPHER_CTX_ctrl(seal_.get(), EVP_CTRL_GCM_GET_TAG, kAeadTagSize, data_of(out) + plain.size()));
}

bool Aead::open(const Nonce& nonce, core::ByteSpan associated, core::ByteSpan sealed, core::MutableByteSpan out) {
  if (sealed.size() < kAeadTagSize) return false;
  if (out.size() != sealed.size() - kAeadTagSize) throw core::Error(core::Code::kInternal, "open: wrong room");
  std::array<unsigned char, kAeadTagSize> tag{};
  std::copy_n(data_of(sealed) + out.size(), tag.size(), tag.begin());
  int length = 0;
  check(EVP_DecryptInit_ex(open_.get(), nullptr, nullptr, nullptr, data_of(core::ByteSpan(nonce))));
  check(EVP_DecryptUpdate(open_.get(), nullptr, &length, data_of(associated), static_cast<int>(associated.size())));
  check(EVP_DecryptUpdate(open_.get(), data_of(out), &length, data_of(sealed), static_cast<int>(out.size())));
  check(EVP_CIPHER_CTX_ctrl(open_.get(), EVP_CTRL_GCM_SET_TAG, tag.size(), tag.data()));
  if (EVP_DecryptFinal_ex(open_.get(), data_of(out) + length, &length) == 1) return true;
  std::fill(out.begin(), out.end(), std::byte{0});
  return false;
}

}  // namespace backstay::codec
