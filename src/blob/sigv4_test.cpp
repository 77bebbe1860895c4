#include "blob/sigv4.h"

#include <gtest/gtest.h>

#include "codec/hash.h"
#include "core/bytes.h"

namespace backstay::blob {
namespace {

std::string sha256(std::string_view text) { return core::to_hex(codec::sha256(core::as_bytes(text))); }

std::string signature_of(const std::string& authorization) {
  return authorization.substr(authorization.rfind('=') + 1);
}

// The general suite that AWS publishes ("aws-sig-v4-test-suite").
struct SuiteCase {
  const char* name;
  SigningInput input;
  const char* signature;
};

class SigV4Suite : public ::testing::TestWithParam<SuiteCase> {};

TEST_P(SigV4Suite, SignsAsPublished) {
  SigningInput input = GetParam().input;
  input.headers.add("Host", "example.amazonaws.com");
  input.headers.add("X-Amz-Date", "20150830T123600Z");
  input.payload_hash = sha256("");
  const Credentials credentials{.access_key = "AKIDEXAMPLE",
                                .secret_key = core::Secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")};
  const std::string value = authorization(input, credentials, {.region = "us-east-1", .service = "service"},
                                          core::parse_time("2015-08-30T12:36:00Z"));
  EXPECT_EQ(signature_of(value), GetParam().signature) << canonical_request(input);
}

INSTANTIATE_TEST_SUITE_P(
    Aws, SigV4Suite,
    ::testing::Values(
        SuiteCase{"GetVanilla",
                  {.method = "GET", .path = "/", .query = {}, .headers = {}, .payload_hash = ""},
                  "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
        SuiteCase{"GetVanillaQueryOrderKeyCase",
                  {.method = "GET",
                   .path = "/",
                   .query = {{"Param2", "value2"}, {"Param1", "value1"}},
                   .headers = {},
                   .payload_hash = ""},
                  "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
        SuiteCase{"GetVanillaEmptyQueryKey",
                  {.method = "GET", .path = "/", .query = {{"Param1", "value1"}}, .headers = {}, .payload_hash = ""},
                  "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
        SuiteCase{"GetUtf8",
                  {.method = "GET", .path = "/%E1%88%B4", .query = {}, .headers = {}, .payload_hash = ""},
                  "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
        SuiteCase{"GetHeaderKeyDuplicate",
                  {.method = "GET",
                   .path = "/",
                   .query = {},
                   .headers = {{"My-Header1", "value2"}, {"My-Header1", "value2"}, {"My-Header1", "value1"}},
                   .payload_hash = ""},
                  "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
        SuiteCase{"GetHeaderValueTrim",
                  {.method = "GET",
                   .path = "/",
                   .query = {},
                   .headers = {{"My-Header1", " value1"}, {"My-Header2", " \"a   b   c\""}},
                   .payload_hash = ""},
                  "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
        SuiteCase{"PostVanilla",
                  {.method = "POST", .path = "/", .query = {}, .headers = {}, .payload_hash = ""},
                  "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
        SuiteCase{"PostVanillaQuery",
                  {.method = "POST", .path = "/", .query = {{"Param1", "value1"}}, .headers = {}, .payload_hash = ""},
                  "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"}),
    [](const auto& info) { return std::string(info.param.name); });

// The examples of "Authenticating Requests: Using the Authorization Header" in the S3 API reference.
class SigV4S3Examples : public ::testing::Test {
 protected:
  std::string sign(SigningInput input) {
    input.headers.add("Host", "examplebucket.s3.amazonaws.com");
    input.headers.add("x-amz-date", "20130524T000000Z");
    input.headers.add("x-amz-content-sha256", input.payload_hash);
    const Credentials credentials{.access_key = "AKIAIOSFODNN7EXAMPLE",
                                  .secret_key = core::Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")};
    return authorization(input, credentials, {.region = "us-east-1"}, core::parse_time("2013-05-24T00:00:00Z"));
  }
};

TEST_F(SigV4S3Examples, GetObject) {
  EXPECT_EQ(sign({.method = "GET",
                  .path = "/test.txt",
                  .query = {},
                  .headers = {{"Range", "bytes=0-9"}},
                  .payload_hash = sha256("")}),
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
            "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
            "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

TEST_F(SigV4S3Examples, PutObject) {
  EXPECT_EQ(signature_of(sign(
                {.method = "PUT",
                 .path = "/test%24file.text",
                 .query = {},
                 .headers = {{"Date", "Fri, 24 May 2013 00:00:00 GMT"}, {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
                 .payload_hash = sha256("Welcome to Amazon S3.")})),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

TEST_F(SigV4S3Examples, GetBucketLifecycle) {
  EXPECT_EQ(
      signature_of(sign(
          {.method = "GET", .path = "/", .query = {{"lifecycle", ""}}, .headers = {}, .payload_hash = sha256("")})),
      "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
}

TEST_F(SigV4S3Examples, ListObjects) {
  EXPECT_EQ(signature_of(sign({.method = "GET",
                               .path = "/",
                               .query = {{"max-keys", "2"}, {"prefix", "J"}},
                               .headers = {},
                               .payload_hash = sha256("")})),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST(SigV4Test, FormatsTheDateWithoutFraction) {
  EXPECT_EQ(format_amz_date(core::parse_time("2026-04-10T12:00:00.987Z")), "20260410T120000Z");
}

}  // namespace
}  // namespace backstay::blob
