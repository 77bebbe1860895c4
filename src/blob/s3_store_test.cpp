#include "blob/s3_store.h"

#include <gtest/gtest.h>

#include "blob/testing/scripted_transport.h"
#include "core/testing/manual_clock.h"

namespace backstay::blob {
namespace {

using core::as_bytes;
using core::Code;
using core::Error;

constexpr std::uint64_t kPart = 5 * 1024 * 1024;

std::string error_body(const std::string& code, const std::string& more = "") {
  return "<?xml version=\"1.0\"?><Error><Code>" + code + "</Code><Message>the store's words</Message>" + more +
         "<RequestId>tx1</RequestId></Error>";
}

class S3StoreTest : public ::testing::Test {
 protected:
  S3StoreTest() { open({}); }
  void open(DestinationConfig config) {
    if (config.url.empty()) config.url = "s3://bucket/pre fix/";
    if (config.endpoint_url.empty()) config.endpoint_url = "http://store.example:9000";
    auto transport = std::make_unique<testing::ScriptedTransport>();
    script_ = transport.get();
    store_ =
        std::make_unique<S3Store>(std::move(transport), parse_s3_location(config),
                                  Credentials{.access_key = "KEY", .secret_key = core::Secret("THE-SECRET")},
                                  StorePolicy{.part_size = kPart}, StoreContext{.clock = clock_, .random = random_});
  }
  Error error_of(const std::function<void()>& call) {
    try {
      call();
    } catch (const Error& error) {
      EXPECT_EQ(error.message().find("THE-SECRET"), std::string::npos);
      return error;
    }
    ADD_FAILURE() << "nothing was thrown";
    return {Code::kInternal, ""};
  }
  const http::ClientRequest& request(std::size_t at) { return script_->requests.at(at); }
  std::string header(std::size_t at, const std::string& name) { return request(at).headers.find(name).value_or(""); }

  core::testing::ManualClock clock_{core::parse_time("2026-04-10T12:00:00Z")};
  core::SystemRandom random_;
  testing::ScriptedTransport* script_ = nullptr;
  std::unique_ptr<S3Store> store_;
};

TEST_F(S3StoreTest, AddressesByPathAndEncodesThePrefix) {
  script_->answer(200, "content");
  EXPECT_EQ(core::as_text(*store_->get("a/b+c")), "content");
  EXPECT_EQ(request(0).url, "http://store.example:9000/bucket/pre%20fix/a/b%2Bc");
  EXPECT_EQ(header(0, "Host"), "store.example:9000");
  EXPECT_TRUE(header(0, "Authorization").starts_with("AWS4-HMAC-SHA256 Credential=KEY/20260410/us-east-1/s3/"));
}

TEST_F(S3StoreTest, TellsHowFarTheStoresClockIsOff) {
  EXPECT_FALSE(store_->clock_offset());
  const auto list = [&](const std::string& date) {
    http::Headers headers;
    if (!date.empty()) headers.set("Date", date);
    script_->answer(200, "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>", headers);
    store_->list("", "", [](const ObjectInfo&) { return true; });
  };
  list("");
  EXPECT_FALSE(store_->clock_offset());
  list("Fri, 10 Apr 2026 12:01:30 GMT");
  EXPECT_EQ(store_->clock_offset(), core::Duration(std::chrono::seconds(90)));
  list("yesterday");
  EXPECT_EQ(store_->clock_offset(), core::Duration(std::chrono::seconds(90)));
  list("Fri, 10 Apr 2026 11:59:59 GMT");
  EXPECT_EQ(store_->clock_offset(), core::Duration(std::chrono::seconds(-1)));
}

TEST_F(S3StoreTest, AddressesAmazonByHostAndReadsTheRegionThere) {
  open({.url = "s3://my-bucket/", .endpoint_url = "https://s3.eu-central-1.amazonaws.com"});
  script_->answer(200, "");
  store_->get("a");
  EXPECT_EQ(request(0).url, "https://my-bucket.s3.eu-central-1.amazonaws.com/a");
  EXPECT_NE(header(0, "Authorization").find("/eu-central-1/s3/"), std::string::npos);
}

TEST_F(S3StoreTest, SignsThePayloadUnlessTlsProtectsIt) {
  script_->answer(200);
  store_->put("a", as_bytes("hello"));
  EXPECT_EQ(header(0, "x-amz-content-sha256"), "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
  open({.endpoint_url = "https://store.example"});
  script_->answer(200);
  store_->put("a", as_bytes("hello"));
  EXPECT_EQ(header(0, "x-amz-content-sha256"), "UNSIGNED-PAYLOAD");
}

TEST_F(S3StoreTest, LearnsTheRegionFromTheStoresRefusal) {
  script_->answer(400, error_body("AuthorizationHeaderMalformed", "<Region>eu-west-3</Region>")).answer(200, "x");
  EXPECT_TRUE(store_->get("a"));
  EXPECT_NE(header(1, "Authorization").find("/eu-west-3/s3/"), std::string::npos);
  script_->answer(200, "x");
  store_->get("b");
  EXPECT_NE(header(2, "Authorization").find("/eu-west-3/s3/"), std::string::npos);
}

TEST_F(S3StoreTest, LearnsTheRegionFromTheHeaderOfABodylessAnswer) {
  script_->answer(301, "", {{"x-amz-bucket-region", "ap-south-1"}}).answer(200, "", {{"Content-Length", "3"}});
  EXPECT_EQ(store_->head("a")->size, 3U);
}

TEST_F(S3StoreTest, AsksForAnotherRegionOnlyOnce) {
  script_->answer(400, error_body("AuthorizationHeaderMalformed", "<Region>eu-west-3</Region>"))
      .answer(400, error_body("AuthorizationHeaderMalformed", "<Region>eu-west-4</Region>"));
  EXPECT_EQ(error_of([&] { store_->get("a"); }).code(), Code::kStoreRefused);
  EXPECT_EQ(script_->requests.size(), 2U);
}

struct Refusal {
  int status;
  const char* s3_code;
  Code code;
};
class S3RefusalTest : public S3StoreTest, public ::testing::WithParamInterface<Refusal> {};

TEST_P(S3RefusalTest, BecomesAnErrorOfTheCatalogue) {
  const auto& [status, s3_code, code] = GetParam();
  script_->answer(status, error_body(s3_code));
  const Error error = error_of([&] { store_->put("some/key", as_bytes("x")); });
  EXPECT_EQ(error.code(), code) << error.message();
  for (const auto* part : {"bucket", "store.example:9000", "some/key", s3_code, "the store's words", "tx1"}) {
    EXPECT_NE(error.message().find(part), std::string::npos) << part << " in " << error.message();
  }
}

INSTANTIATE_TEST_SUITE_P(All, S3RefusalTest,
                         ::testing::Values(Refusal{403, "AccessDenied", Code::kStoreAccessDenied},
                                           Refusal{403, "SignatureDoesNotMatch", Code::kStoreAccessDenied},
                                           Refusal{403, "InvalidAccessKeyId", Code::kStoreAccessDenied},
                                           Refusal{403, "UserSuspended", Code::kStoreAccessDenied},
                                           Refusal{403, "SomethingElse", Code::kStoreAccessDenied},
                                           Refusal{403, "RequestTimeTooSkewed", Code::kStoreRefused},
                                           Refusal{403, "QuotaExceeded", Code::kDiskFull},
                                           Refusal{404, "NoSuchBucket", Code::kStoreNotFound},
                                           Refusal{301, "PermanentRedirect", Code::kStoreRefused},
                                           Refusal{501, "NotImplemented", Code::kNotSupported},
                                           Refusal{503, "SlowDown", Code::kStoreUnreachable},
                                           Refusal{500, "InternalError", Code::kStoreUnreachable},
                                           Refusal{400, "RequestTimeout", Code::kStoreUnreachable},
                                           Refusal{408, "ClientTooSlow", Code::kStoreUnreachable},
                                           Refusal{409, "OperationAborted", Code::kStoreUnreachable},
                                           Refusal{429, "TooManyRequests", Code::kStoreUnreachable},
                                           Refusal{400, "InvalidArgument", Code::kStoreRefused}),
                         [](const auto& info) { return std::string(info.param.s3_code); });

TEST_F(S3StoreTest, ReadsRefusalsThatAreNoXml) {
  script_->answer(502, "<html>bad\ngateway</html>");
  EXPECT_EQ(error_of([&] { store_->get("a"); }).code(), Code::kStoreUnreachable);
  script_->answer(403, "");
  EXPECT_EQ(error_of([&] { store_->head("a"); }).code(), Code::kStoreAccessDenied);
}

TEST_F(S3StoreTest, TellsAMissingObjectFromAMissingBucket) {
  script_->answer(404, error_body("NoSuchKey")).answer(404, error_body("NoSuchBucket"));
  EXPECT_FALSE(store_->get("a"));
  EXPECT_EQ(error_of([&] { store_->get("a"); }).code(), Code::kStoreNotFound);
}

TEST_F(S3StoreTest, AsksForRanges) {
  script_->answer(206, "cd")
      .answer(416, error_body("InvalidRange"))
      .answer(206, "xyz", {{"Content-Range", "bytes 7-9/10"}});
  EXPECT_EQ(core::as_text(*store_->get_range("a", 2, 2)), "cd");
  EXPECT_EQ(header(0, "Range"), "bytes=2-3");
  EXPECT_EQ(store_->get_range("a", 100, 5)->size(), 0U);
  const auto tail = store_->get_tail("a", 3);
  EXPECT_EQ(header(2, "Range"), "bytes=-3");
  EXPECT_EQ(tail->object_size, 10U);
}

TEST_F(S3StoreTest, RefusesAStoreThatIgnoresRanges) {
  script_->answer(200, "everything");
  EXPECT_EQ(error_of([&] { store_->get_range("a", 2, 2); }).code(), Code::kStoreRefused);
}

TEST_F(S3StoreTest, ListsPageAfterPageAndSkipsWhatIsNoKey) {
  const std::string head = "<ListBucketResult><EncodingType>url</EncodingType>";
  const auto object = [](const std::string& key) {
    return "<Contents><Key>" + key +
           "</Key><Size>7</Size><LastModified>2026-04-10T11:00:00.000Z</LastModified></Contents>";
  };
  script_
      ->answer(200, head + "<IsTruncated>true</IsTruncated><NextContinuationToken>to ken</NextContinuationToken>" +
                        object("pre%20fix/") + object("pre%20fix/a%2B1") + "</ListBucketResult>")
      .answer(200, head + "<IsTruncated>false</IsTruncated>" + object("pre%20fix/dir/") + object("pre%20fix/b") +
                       "</ListBucketResult>");
  std::vector<std::string> keys;
  store_->list("", "a", [&](const ObjectInfo& info) {
    EXPECT_EQ(info.size, 7U);
    EXPECT_EQ(info.modified, core::parse_time("2026-04-10T11:00:00Z"));
    keys.push_back(info.key);
    return true;
  });
  EXPECT_EQ(keys, (std::vector<std::string>{"a+1", "b"}));
  EXPECT_NE(request(0).url.find("prefix=pre%20fix%2F&start-after=pre%20fix%2Fa"), std::string::npos) << request(0).url;
  EXPECT_NE(request(1).url.find("continuation-token=to%20ken"), std::string::npos) << request(1).url;
}

TEST_F(S3StoreTest, RefusesAListingWithoutAnEnd) {
  const auto page = [](const std::string& token) {
    return "<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><NextContinuationToken>" +
           token +
           "</NextContinuationToken><Contents><Key>pre%20fix/a</Key><Size>7</Size>"
           "<LastModified>2026-04-10T11:00:00.000Z</LastModified></Contents></ListBucketResult>";
  };
  const auto list = [&] { store_->list("", "", [](const ObjectInfo&) { return true; }); };
  script_->answer(200, page("same")).answer(200, page("same"));
  EXPECT_EQ(error_of(list).code(), Code::kStoreRefused);
  EXPECT_EQ(script_->requests.size(), 2U);
  for (int i = 0; i < 200; ++i) script_->answer(200, page(std::to_string(i)));
  EXPECT_EQ(error_of(list).code(), Code::kStoreRefused);
}

TEST_F(S3StoreTest, RefusesAListingThatIsNoListing) {
  script_->answer(200, "<html></html>")
      .answer(200, "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>");
  const auto list = [&] { store_->list("", "", [](const ObjectInfo&) { return true; }); };
  EXPECT_EQ(error_of(list).code(), Code::kStoreRefused);
  EXPECT_EQ(error_of(list).code(), Code::kStoreRefused);
}

TEST_F(S3StoreTest, RemovesManyWithOneRequestAndReadsItsVerdicts) {
  const std::vector<std::string> keys = {"a", "b"};
  script_->answer(200, "<DeleteResult><Error><Key>pre fix/a</Key><Code>NoSuchKey</Code></Error></DeleteResult>")
      .answer(200, "<DeleteResult><Error><Key>pre fix/b</Key><Code>AccessDenied</Code></Error></DeleteResult>")
      .answer(200, "<DeleteResult><Error><Key>pre fix/b</Key><Code>InternalError</Code></Error></DeleteResult>");
  store_->remove(keys);
  EXPECT_FALSE(header(0, "Content-MD5").empty());
  EXPECT_NE(script_->bodies[0].find("<Key>pre fix/a</Key>"), std::string::npos) << script_->bodies[0];
  EXPECT_EQ(error_of([&] { store_->remove(keys); }).code(), Code::kStoreAccessDenied);
  EXPECT_EQ(error_of([&] { store_->remove(keys); }).code(), Code::kStoreUnreachable);
}

TEST_F(S3StoreTest, UsesTheConditionOnlyWhereItWorks) {
  script_->answer(200).answer(412, error_body("PreconditionFailed")).answer(204);
  EXPECT_TRUE(store_->features().conditional_put);
  EXPECT_EQ(header(1, "If-None-Match"), "*");
  EXPECT_EQ(request(2).method, "DELETE");
  EXPECT_TRUE(store_->features().conditional_put);  // not asked again
  script_->answer(200).answer(412, error_body("PreconditionFailed"));
  EXPECT_TRUE(store_->put_if_absent("a", as_bytes("x")));
  EXPECT_FALSE(store_->put_if_absent("a", as_bytes("x")));
  EXPECT_TRUE(script_->done());
}

TEST_F(S3StoreTest, DoesWithoutAConditionThatTheStoreIgnoresOrRefuses) {
  script_->answer(200).answer(200).answer(204);
  EXPECT_FALSE(store_->features().conditional_put);
  EXPECT_EQ(error_of([&] { store_->put_if_absent("a", as_bytes("x")); }).code(), Code::kNotSupported);
  open({});
  script_->answer(200).answer(501, error_body("NotImplemented")).answer(204);
  EXPECT_FALSE(store_->features().conditional_put);
  open({});
  script_->answer(200).answer(503, error_body("SlowDown"));
  EXPECT_EQ(error_of([&] { (void)store_->features(); }).code(), Code::kStoreUnreachable);
}

class S3UploadTest : public S3StoreTest {
 protected:
  static constexpr const char* kBegun =
      "<InitiateMultipartUploadResult><UploadId>up1</UploadId></InitiateMultipartUploadResult>";
  static constexpr const char* kDone = "<CompleteMultipartUploadResult/>";
  const core::Bytes large_ = core::Bytes(2 * kPart + 10, std::byte{'x'});
};

TEST_F(S3UploadTest, SendsPartsAndCompletesThem) {
  script_->answer(200, kBegun)
      .answer(200, "", {{"ETag", "\"e1\""}})
      .answer(200, "", {{"ETag", "\"e2\""}})
      .answer(200, "", {{"ETag", "\"e3\""}})
      .answer(200, kDone);
  store_->put("a", large_);
  ASSERT_EQ(script_->requests.size(), 5U);
  EXPECT_NE(request(1).url.find("partNumber=1&uploadId=up1"), std::string::npos) << request(1).url;
  EXPECT_EQ(script_->bodies[1].size(), kPart);
  EXPECT_EQ(script_->bodies[3].size(), 10U);
  EXPECT_EQ(script_->bodies[4],
            "<?xml version=\"1.0\"?><CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>\"e1\"</ETag></Part>"
            "<Part><PartNumber>2</PartNumber><ETag>\"e2\"</ETag></Part><Part><PartNumber>3</PartNumber>"
            "<ETag>\"e3\"</ETag></Part></CompleteMultipartUpload>");
}

TEST_F(S3UploadTest, ASmallRestIsNoPartOfItsOwn) {
  script_->answer(200);
  store_->put("a", core::ByteSpan(large_).first(kPart + kPart / 4));
  ASSERT_EQ(script_->requests.size(), 1U);
  EXPECT_EQ(request(0).method, "PUT");
  EXPECT_EQ(script_->bodies[0].size(), kPart + kPart / 4);
}

TEST_F(S3UploadTest, AbortsWhatWasNotFinished) {
  script_->answer(200, kBegun).answer(200, "", {{"ETag", "e1"}}).answer(500, error_body("InternalError")).answer(204);
  EXPECT_EQ(error_of([&] { store_->put("a", large_); }).code(), Code::kStoreUnreachable);
  EXPECT_EQ(request(3).method, "DELETE");
  EXPECT_NE(request(3).url.find("uploadId=up1"), std::string::npos);
}

TEST_F(S3UploadTest, GoesOnAfterAFailedPart) {
  script_->answer(200, kBegun).answer(500).answer(200, "", {{"ETag", "e1"}}).answer(200, "", {{"ETag", "e2"}});
  const auto upload = store_->begin_upload("a");
  EXPECT_THROW(upload->append(large_), Error);
  upload->append({});
  script_->answer(500).answer(200, "", {{"ETag", "e3"}}).answer(200, kDone);
  EXPECT_THROW(upload->finish(), Error);
  upload->finish();
  EXPECT_EQ(script_->bodies.at(5).size(), 10U);
  EXPECT_TRUE(script_->done());
}

TEST_F(S3UploadTest, SeesAFailureBehindAGoodStatus) {
  script_->answer(200, kBegun)
      .answer(200, "", {{"ETag", "e1"}})
      .answer(200, "", {{"ETag", "e2"}})
      .answer(200, "", {{"ETag", "e3"}})
      .answer(200, error_body("InternalError"))
      .answer(204);
  EXPECT_EQ(error_of([&] { store_->put("a", large_); }).code(), Code::kStoreUnreachable);
}

TEST_F(S3UploadTest, RecognisesACompletionWhoseAnswerWasLost) {
  script_->answer(200, kBegun)
      .answer(200, "", {{"ETag", "e1"}})
      .answer(200, "", {{"ETag", "e2"}})
      .answer(200, "", {{"ETag", "e3"}})
      .fail(Code::kTimeout)
      .answer(404, error_body("NoSuchUpload"))
      .answer(200, "", {{"Content-Length", std::to_string(large_.size())}});
  const auto upload = store_->begin_upload("a");
  upload->append(large_);
  EXPECT_THROW(upload->finish(), Error);
  upload->finish();
  EXPECT_TRUE(script_->done());
}

TEST_F(S3UploadTest, DoesNotTakeAnotherObjectForALostCompletion) {
  script_->answer(200, kBegun)
      .answer(200, "", {{"ETag", "e1"}})
      .answer(200, "", {{"ETag", "e2"}})
      .answer(200, "", {{"ETag", "e3"}})
      .fail(Code::kTimeout)
      .answer(404, error_body("NoSuchUpload"))
      .answer(200, "", {{"Content-Length", "5"}})
      .answer(404);
  const auto upload = store_->begin_upload("a");
  upload->append(large_);
  EXPECT_THROW(upload->finish(), Error);
  EXPECT_THROW(upload->finish(), Error);
}

TEST_F(S3StoreTest, DiagnosesTheBucket) {
  script_->answer(403, "", {{"Date", "Fri, 10 Apr 2026 12:05:00 GMT"}})
      .answer(200, "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")
      .answer(404, error_body("ObjectLockConfigurationNotFoundError"))
      .answer(200,
              "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>"
              "COMPLIANCE</Mode><Days>30</Days></DefaultRetention></Rule></ObjectLockConfiguration>");
  EXPECT_EQ(store_->store_time(), core::parse_time("2026-04-10T12:05:00Z"));
  EXPECT_TRUE(store_->versioning());
  EXPECT_FALSE(store_->object_lock());
  EXPECT_EQ(store_->object_lock(), "COMPLIANCE for 30 days");
}

}  // namespace
}  // namespace backstay::blob
