#include "codec/aead.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "core/random.h"

namespace backstay::codec {
namespace {

Nonce nonce_of(std::string_view hex) {
  Nonce nonce{};
  const core::Bytes bytes = core::from_hex(hex);
  std::copy(bytes.begin(), bytes.end(), nonce.begin());
  return nonce;
}

TEST(AeadTest, KnownAnswer) {
  // Test case 16 of the GCM specification.
  Aead aead(core::from_hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"));
  const core::Bytes plain = core::from_hex(
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
      "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39");
  const core::Bytes associated = core::from_hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
  core::Bytes sealed(plain.size() + kAeadTagSize);
  aead.seal(nonce_of("cafebabefacedbaddecaf888"), associated, plain, sealed);
  EXPECT_EQ(core::to_hex(sealed),
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
            "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
            "76fc6ece0f4e1768cddf8853bb2d551b");
  core::Bytes opened(plain.size());
  EXPECT_TRUE(aead.open(nonce_of("cafebabefacedbaddecaf888"), associated, sealed, opened));
  EXPECT_EQ(opened, plain);
}

TEST(AeadTest, AnyFlippedBitIsDetected) {
  core::SystemRandom random;
  Aead aead(random.bytes(32));
  const Nonce nonce{};
  const core::Bytes plain = random.bytes(40);
  core::Bytes associated = random.bytes(10);
  core::Bytes sealed(56);
  aead.seal(nonce, associated, plain, sealed);
  core::Bytes opened(40);
  for (std::size_t bit = 0; bit < sealed.size() * 8; ++bit) {
    sealed[bit / 8] ^= std::byte{1} << (bit % 8);
    EXPECT_FALSE(aead.open(nonce, associated, sealed, opened));
    sealed[bit / 8] ^= std::byte{1} << (bit % 8);
  }
  EXPECT_EQ(opened, core::Bytes(40)) << "unauthenticated plaintext must not be seen";
  associated[3] ^= std::byte{1};
  EXPECT_FALSE(aead.open(nonce, associated, sealed, opened));
  associated[3] ^= std::byte{1};
  EXPECT_FALSE(aead.open(nonce_of("000000000000000000000001"), associated, sealed, opened));
  EXPECT_FALSE(aead.open(nonce, associated, core::ByteSpan(sealed).first(10), core::MutableByteSpan(opened).first(0)));
  EXPECT_TRUE(aead.open(nonce, associated, sealed, opened)) << "failures leave the context usable";
  aead.set_key(random.bytes(32));
  EXPECT_FALSE(aead.open(nonce, associated, sealed, opened));
  EXPECT_THROW(aead.set_key(random.bytes(16)), core::Error);
}

TEST(AeadTest, SealsInPlaceAndNothing) {
  core::SystemRandom random;
  const core::Bytes key = random.bytes(32);
  Aead aead(key);
  const core::Bytes plain = random.bytes(1000);
  core::Bytes apart(1016);
  aead.seal({}, {}, plain, apart);
  core::Bytes in_place = plain;
  in_place.resize(1016);
  aead.seal({}, {}, core::ByteSpan(in_place).first(1000), in_place);
  EXPECT_EQ(in_place, apart);
  core::Bytes empty(16);
  aead.seal({}, core::as_bytes("x"), {}, empty);
  EXPECT_TRUE(aead.open({}, core::as_bytes("x"), empty, {}));
}

}  // namespace
}  // namespace backstay::codec
