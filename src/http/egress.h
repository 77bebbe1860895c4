// The egress policy: which addresses Backstay connects to on behalf of a tenant.
//
// It is asked about the resolved address, after DNS, for every connection, so that a host name cannot lead around it.
#pragma once

#include <string>
#include <string_view>

struct sockaddr;

namespace backstay::http {

enum class AddressKind {
  kPublic,
  kLoopback,   // 127.0.0.0/8, ::1
  kPrivate,    // 10/8, 172.16/12, 192.168/16, 100.64/10, fc00::/7, fec0::/10
  kForbidden,  // link-local, cloud metadata, unspecified, multicast, broadcast, anything that is not IPv4 or IPv6
};

/// IPv4 addresses inside IPv6 (mapped, compatible, NAT64, 6to4) count as the IPv4 address.
AddressKind classify_address(const sockaddr& address);
/// The same for a numeric text; kForbidden for what is no numeric address.
AddressKind classify_address(std::string_view numeric);

/// What the operator configured. Forbidden addresses are refused whatever it says.
struct EgressPolicy {
  bool allow_loopback = true;
  bool allow_private = true;

  [[nodiscard]] bool allows(AddressKind kind) const;
};

/// "link-local or metadata address", "loopback address", …: for messages.
std::string_view describe(AddressKind kind);

}  // namespace backstay::http
