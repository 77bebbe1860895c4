#include "http/egress.h"

#include <gtest/gtest.h>

namespace backstay::http {
namespace {

void expect_kind(AddressKind kind, std::initializer_list<const char*> addresses) {
  for (const char* address : addresses) EXPECT_EQ(classify_address(address), kind) << address;
}

TEST(EgressTest, ForbidsLinkLocalAndMetadata) {
  expect_kind(AddressKind::kForbidden, {"169.254.169.254", "169.254.0.1", "fe80::1", "febf::1", "fd00:ec2::254",
                                        "fd20:ce::254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "0.0.0.0",
                                        "::", "224.0.0.1", "255.255.255.255", "ff02::1"});
}

TEST(EgressTest, LooksIntoEmbeddedAddresses) {
  expect_kind(AddressKind::kForbidden, {"::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "64:ff9b::169.254.169.254",
                                        "2002:a9fe:a9fe::1", "::169.254.169.254", "::ffff:0.0.0.0"});
  expect_kind(AddressKind::kLoopback, {"::ffff:127.0.0.1", "::127.0.0.1"});
  expect_kind(AddressKind::kPrivate, {"::ffff:10.1.2.3", "64:ff9b::192.168.0.1"});
  expect_kind(AddressKind::kPublic, {"::ffff:8.8.8.8"});
}

TEST(EgressTest, KnowsLoopbackPrivateAndPublic) {
  expect_kind(AddressKind::kLoopback, {"127.0.0.1", "127.255.255.255", "::1"});
  expect_kind(AddressKind::kPrivate,
              {"10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "fc00::1", "fd12::1"});
  expect_kind(AddressKind::kPublic, {"8.8.8.8", "172.32.0.1", "172.15.0.1", "192.169.0.1", "169.253.0.1", "100.128.0.1",
                                     "128.0.0.1", "2001:db8::1", "2a00::1"});
}

TEST(EgressTest, ForbidsWhatIsNoAddress) { expect_kind(AddressKind::kForbidden, {"", "localhost", "1.2.3", "1:2"}); }

TEST(EgressTest, PolicyNeverAllowsForbidden) {
  const EgressPolicy open;
  EXPECT_TRUE(open.allows(AddressKind::kPublic));
  EXPECT_TRUE(open.allows(AddressKind::kLoopback));
  EXPECT_TRUE(open.allows(AddressKind::kPrivate));
  EXPECT_FALSE(open.allows(AddressKind::kForbidden));
  const EgressPolicy closed{.allow_loopback = false, .allow_private = false};
  EXPECT_TRUE(closed.allows(AddressKind::kPublic));
  EXPECT_FALSE(closed.allows(AddressKind::kLoopback));
  EXPECT_FALSE(closed.allows(AddressKind::kPrivate));
}

}  // namespace
}  // namespace backstay::http
