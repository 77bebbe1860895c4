#include "blob/destination.h"

#include <filesystem>

#include <gtest/gtest.h>

#include "blob/probe.h"
#include "blob/s3_location.h"
#include "core/error.h"

namespace backstay::blob {
namespace {

namespace fs = std::filesystem;
using core::Code;

DestinationConfig s3(std::string url, std::string endpoint) {
  return {.url = std::move(url),
          .endpoint_url = std::move(endpoint),
          .access_key = "KEY",
          .secret_key = core::Secret("SECRET")};
}

std::vector<std::string> faults(const DestinationConfig& config) {
  try {
    validate_destination(config, "/backups/config");
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    EXPECT_EQ(error.message().find("SECRET"), std::string::npos);
    std::vector<std::string> pointers;
    for (const auto& field : error.fields()) pointers.push_back(field.pointer);
    return pointers;
  }
  return {};
}

TEST(DestinationTest, AcceptsTheFormsThatPeopleWrite) {
  EXPECT_TRUE(faults(s3("s3://my-codesphere-backups/", "https://s3.eu-central-1.amazonaws.com")).empty());
  EXPECT_TRUE(faults(s3("s3://bucket", "")).empty());
  EXPECT_TRUE(faults(s3("s3://bucket/a/b", "http://127.0.0.1:9000/")).empty());
  EXPECT_TRUE(faults({.url = "file:///srv/backups"}).empty());
}

TEST(DestinationTest, NamesEachFault) {
  using Pointers = std::vector<std::string>;
  const Pointers path = {"/backups/config/destinationPath"};
  EXPECT_EQ(faults({.url = ""}), path);
  EXPECT_EQ(faults({.url = "ftp://x/"}), path);
  EXPECT_EQ(faults({.url = "file://relative"}), path);
  EXPECT_EQ(faults(s3("s3://", "")), path);
  EXPECT_EQ(faults(s3("s3://b?x/", "")), path);
  EXPECT_EQ(faults(s3("s3://bucket//double/", "")), path);
  EXPECT_EQ(faults(s3("s3://bucket/../up/", "")), path);
  EXPECT_EQ(faults(s3("s3://bucket/", "not a url")), Pointers{"/backups/config/endpointUrl"});
  EXPECT_EQ(faults(s3("s3://bucket/", "https://host/path")), Pointers{"/backups/config/endpointUrl"});
  EXPECT_EQ(faults({.url = "s3://bucket/"}), (Pointers{"/backups/config/accessKey", "/backups/config/secretKey"}));
  EXPECT_EQ(faults({.url = "file:///x", .endpoint_url = "http://h"}), Pointers{"/backups/config/endpointUrl"});
}

TEST(S3LocationTest, FindsTheRegionInTheHost) {
  EXPECT_EQ(region_of_host("s3.eu-central-1.amazonaws.com"), "eu-central-1");
  EXPECT_EQ(region_of_host("s3-eu-west-1.amazonaws.com"), "eu-west-1");
  EXPECT_EQ(region_of_host("s3.dualstack.ap-south-1.amazonaws.com"), "ap-south-1");
  EXPECT_EQ(region_of_host("s3.cn-north-1.amazonaws.com.cn"), "cn-north-1");
  EXPECT_EQ(region_of_host("s3.amazonaws.com"), "");
  EXPECT_EQ(region_of_host("store.example.com"), "");
  EXPECT_EQ(region_of_host("127.0.0.1"), "");
}

TEST(S3LocationTest, ChoosesTheAddressingStyle) {
  const auto host = [](std::string url, std::string endpoint, AddressingStyle style) {
    DestinationConfig config = s3(std::move(url), std::move(endpoint));
    config.addressing = style;
    return parse_s3_location(config).host();
  };
  using enum AddressingStyle;
  EXPECT_EQ(host("s3://bucket/", "", kAuto), "bucket.s3.us-east-1.amazonaws.com");
  EXPECT_EQ(host("s3://dotted.bucket/", "https://s3.eu-central-1.amazonaws.com", kAuto),
            "s3.eu-central-1.amazonaws.com");
  EXPECT_EQ(host("s3://bucket/", "https://store.example:444", kAuto), "store.example:444");
  EXPECT_EQ(host("s3://bucket/", "https://store.example", kVirtualHost), "bucket.store.example");
  EXPECT_EQ(host("s3://bucket/", "http://127.0.0.1:9000", kVirtualHost), "127.0.0.1:9000");
  EXPECT_EQ(host("s3://bucket/", "https://s3.eu-central-1.amazonaws.com", kPath), "s3.eu-central-1.amazonaws.com");
}

class FileDestinationTest : public ::testing::Test {
 public:
  FileDestinationTest() {
    std::string pattern = (fs::temp_directory_path() / "backstay-destination-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    root_ = fs::canonical(pattern);
  }
  ~FileDestinationTest() override { fs::remove_all(root_); }

 protected:
  StoreContext context() { return {.clock = clock_, .random = random_, .metrics = &metrics_}; }
  DestinationConfig destination(const std::string& below) { return {.url = "file://" + root_.string() + below}; }

  core::SystemClock clock_;
  core::SystemRandom random_;
  core::Metrics metrics_;
  fs::path root_;
};

TEST_F(FileDestinationTest, OpensADirectoryBelowAnAllowedRoot) {
  fs::create_directory(root_ / "my backups");
  const auto store = open_store(destination("/my%20backups"), {.directory_roots = {root_}}, context());
  store->put("a", core::as_bytes("x"));
  EXPECT_TRUE(fs::exists(root_ / "my backups" / "a"));
  EXPECT_NE(metrics_.text().find("backstay_blob_requests_total"), std::string::npos);
}

TEST_F(FileDestinationTest, RefusesWhatTheOperatorDidNotAllow) {
  for (const auto& roots : {std::vector<fs::path>{}, std::vector<fs::path>{root_ / "other"}}) {
    try {
      open_store(destination(""), {.directory_roots = roots}, context());
      ADD_FAILURE() << "opened";
    } catch (const core::Error& error) {
      EXPECT_EQ(error.code(), Code::kPathNotAllowed);
    }
  }
}

TEST_F(FileDestinationTest, TheProbeMakesADirectoryWhereItMayAndLeavesItEmpty) {
  StorePolicy policy{.directory_roots = {root_}};
  EXPECT_THROW(open_store(destination("/new/one"), policy, context()), core::Error);
  EXPECT_THROW(probe(destination("/new/one"), policy, context()), core::Error);
  policy.create_directories = true;
  const ProbeReport report = probe(destination("/new/one"), policy, context());
  EXPECT_TRUE(report.accepted());
  std::vector<std::string> names;
  for (const auto& check : report.checks) {
    EXPECT_TRUE(check.passed) << check.name << check.message;
    names.push_back(check.name);
  }
  EXPECT_EQ(names, (std::vector<std::string>{"put", "get", "range", "multipart", "list", "conditional_put", "delete"}));
  for (const auto& entry : fs::directory_iterator(root_ / "new/one"))
    EXPECT_EQ(entry.path().filename(), ".backstay-tmp");
  EXPECT_NO_THROW(report.require_accepted());
  EXPECT_NO_THROW(open_store(destination("/new/one"), policy, context()));
}

TEST_F(FileDestinationTest, TheProbeRefusesAStoreThatIsAway) {
  StorePolicy policy;
  policy.retry = {.attempts = 2, .first_delay = std::chrono::milliseconds(1)};
  const ProbeReport report = probe(s3("s3://bucket/", "http://no-such-store.invalid"), policy, context());
  EXPECT_FALSE(report.accepted());
  EXPECT_EQ(report.refusal, Code::kStoreUnreachable);
  EXPECT_EQ(report.checks.front().name, "put");
  EXPECT_FALSE(report.checks.front().passed);
  try {
    report.require_accepted();
    FAIL() << "accepted";
  } catch (const core::Error& error) {
    EXPECT_NE(error.message().find("no-such-store.invalid"), std::string::npos) << error.message();
  }
}

}  // namespace
}  // namespace backstay::blob
