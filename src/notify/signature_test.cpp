#include "notify/signature.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace backstay::notify {
namespace {

const core::Secret kSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
const auto kAt = core::Timestamp(std::chrono::seconds(1614265330)) + std::chrono::milliseconds(999);

TEST(SignatureTest, IsThatOfThePublishedExample) {
  EXPECT_EQ(signed_time(kAt), "1614265330");
  EXPECT_EQ(sign(kSecret, "msg_p5jXN8AQM9LWM0D4loKWxJek", kAt, R"({"test": 2432232314})"),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

TEST(SignatureTest, ChangesWithEverythingThatItCovers) {
  const auto whole = sign(kSecret, "id", kAt, "body");
  EXPECT_NE(sign(kSecret, "id2", kAt, "body"), whole);
  EXPECT_NE(sign(kSecret, "id", kAt + std::chrono::seconds(1), "body"), whole);
  EXPECT_NE(sign(kSecret, "id", kAt, "body "), whole);
  EXPECT_NE(sign(core::Secret("whsec_AAAA"), "id", kAt, "body"), whole);
}

TEST(SignatureTest, RefusesASecretOfAnotherForm) {
  EXPECT_THROW(sign(core::Secret("MfKQ9r8G"), "id", kAt, ""), core::Error);
  EXPECT_THROW(sign(core::Secret("whsec_*"), "id", kAt, ""), core::Error);
}

}  // namespace
}  // namespace backstay::notify
