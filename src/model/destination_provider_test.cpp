#include "model/destination_provider.h"

#include <gtest/gtest.h>

#include <set>

#include "core/error.h"

namespace backstay::model {
namespace {

Destination of(const std::string& provider) {
  Destination destination;
  destination.provider = provider;
  destination.url = "s3://bucket/prefix";
  return destination;
}

std::string endpoint_of(Destination destination) {
  complete_destination(destination, "");
  return destination.endpoint_url;
}

std::set<std::string> faults_of(Destination destination) {
  try {
    complete_destination(destination, "/config");
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::Code::kInvalidArgument);
    std::set<std::string> pointers;
    for (const auto& field : error.fields()) pointers.insert(field.pointer);
    return pointers;
  }
  return {};
}

TEST(DestinationProviderTest, MakesTheEndpointOfR2FromAccountAndJurisdiction) {
  auto r2 = of("r2");
  r2.account_id = "0a1b2c";
  EXPECT_EQ(endpoint_of(r2), "https://0a1b2c.r2.cloudflarestorage.com");
  r2.jurisdiction = "default";
  EXPECT_EQ(endpoint_of(r2), "https://0a1b2c.r2.cloudflarestorage.com");
  r2.jurisdiction = "eu";
  EXPECT_EQ(endpoint_of(r2), "https://0a1b2c.eu.r2.cloudflarestorage.com");
  complete_destination(r2, "");
  EXPECT_EQ(r2.region, "auto");
}

TEST(DestinationProviderTest, MakesTheEndpointOfBackblazeFromTheRegion) {
  auto backblaze = of("backblaze");
  EXPECT_EQ(faults_of(backblaze), (std::set<std::string>{"/config/region"}));
  backblaze.region = "us-west-004";
  EXPECT_EQ(endpoint_of(backblaze), "https://s3.us-west-004.backblazeb2.com");
}

TEST(DestinationProviderTest, AnEndpointThatIsNamedHolds) {
  for (const auto* provider : {"", "s3", "r2", "backblaze", "minio", "custom"}) {
    auto named = of(provider);
    named.endpoint_url = "http://127.0.0.1:9000";
    EXPECT_EQ(endpoint_of(named), "http://127.0.0.1:9000") << provider;
  }
  EXPECT_EQ(endpoint_of(of("s3")), "") << "Amazon's";
}

TEST(DestinationProviderTest, NamesEveryFault) {
  EXPECT_EQ(faults_of(of("minio")), (std::set<std::string>{"/config/endpointUrl"}));
  EXPECT_EQ(faults_of(of("custom")), (std::set<std::string>{"/config/endpointUrl"}));
  EXPECT_EQ(faults_of(of("dropbox")), (std::set<std::string>{"/config/provider"}));
  auto r2 = of("r2");
  r2.jurisdiction = "eu.evil";
  EXPECT_EQ(faults_of(r2), (std::set<std::string>{"/config/accountId", "/config/jurisdiction"}));
  r2.account_id = "evil.example.org/";
  EXPECT_EQ(faults_of(r2), (std::set<std::string>{"/config/accountId", "/config/jurisdiction"}));
  auto nobodys = of("");
  nobodys.account_id = "0a";
  EXPECT_EQ(faults_of(nobodys), (std::set<std::string>{"/config/accountId"}));
  auto directory = of("s3");
  directory.url = "file:///backups";
  EXPECT_EQ(faults_of(directory), (std::set<std::string>{"/config/destinationPath"}));
}

TEST(DestinationProviderTest, ForgetsWhatFollowsFromTheProvider) {
  auto r2 = of("r2");
  r2.account_id = "0a1b2c";
  const auto named = r2;
  complete_destination(r2, "");
  r2 = without_derived(r2);
  EXPECT_EQ(r2.endpoint_url, named.endpoint_url);
  EXPECT_EQ(r2.region, named.region);
  auto gateway = named;
  gateway.endpoint_url = "https://gateway.example.org";
  complete_destination(gateway, "");
  EXPECT_EQ(without_derived(gateway).endpoint_url, "https://gateway.example.org");
}

}  // namespace
}  // namespace backstay::model
