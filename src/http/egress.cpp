#include "http/egress.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <span>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace backstay::http {
namespace {

using Bytes4 = std::array<std::uint8_t, 4>;
using Bytes16 = std::array<std::uint8_t, 16>;

struct Network4 {
  Bytes4 address;
  unsigned bits;
  AddressKind kind;
};
constexpr auto kNetworks4 = std::to_array<Network4>({
    {{100, 100, 100, 200}, 32, AddressKind::kForbidden},  // Alibaba's metadata, inside the shared range
    {{168, 63, 129, 16}, 32, AddressKind::kForbidden},    // Azure's platform service
    {{192, 0, 0, 192}, 32, AddressKind::kForbidden},      // Oracle's metadata
    {{0, 0, 0, 0}, 8, AddressKind::kForbidden},
    {{169, 254, 0, 0}, 16, AddressKind::kForbidden},
    {{224, 0, 0, 0}, 3, AddressKind::kForbidden},  // multicast, reserved, broadcast
    {{127, 0, 0, 0}, 8, AddressKind::kLoopback},
    {{10, 0, 0, 0}, 8, AddressKind::kPrivate},
    {{172, 16, 0, 0}, 12, AddressKind::kPrivate},
    {{192, 168, 0, 0}, 16, AddressKind::kPrivate},
    {{100, 64, 0, 0}, 10, AddressKind::kPrivate},
});

struct Network6 {
  Bytes16 address;
  unsigned bits;
  AddressKind kind;
};
constexpr auto kNetworks6 = std::to_array<Network6>({
    {{0xfd, 0, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54}, 128, AddressKind::kForbidden},  // AWS metadata
    {{0xfd, 0x20, 0, 0xce, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54}, 128, AddressKind::kForbidden},  // Google's
    {{0}, 128, AddressKind::kForbidden},
    {{0xfe, 0x80}, 10, AddressKind::kForbidden},
    {{0xff}, 8, AddressKind::kForbidden},
    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 128, AddressKind::kLoopback},
    {{0xfc}, 7, AddressKind::kPrivate},
    {{0xfe, 0xc0}, 10, AddressKind::kPrivate},
});

// Where an IPv6 prefix is followed by an IPv4 address.
struct Embedding {
  Bytes16 prefix;
  unsigned bits;
  std::size_t offset;
};
constexpr auto kEmbeddings = std::to_array<Embedding>({
    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96, 12},  // mapped
    {{0, 0x64, 0xff, 0x9b}, 96, 12},                       // NAT64
    {{0x20, 0x02}, 16, 2},                                 // 6to4
    {{0}, 96, 12},                                         // compatible
});

bool inside(std::span<const std::uint8_t> address, std::span<const std::uint8_t> network, unsigned bits) {
  const std::size_t whole = bits / 8;
  if (!std::equal(network.begin(), network.begin() + static_cast<std::ptrdiff_t>(whole), address.begin())) return false;
  const unsigned rest = bits % 8;
  if (rest == 0) return true;
  const auto mask = static_cast<std::uint8_t>(0xffU << (8 - rest));
  return (address[whole] & mask) == (network[whole] & mask);
}

AddressKind classify4(const Bytes4& address) {
  const auto found = std::ranges::find_if(
      kNetworks4, [&](const Network4& network) { return inside(address, network.address, network.bits); });
  return found == kNetworks4.end() ? AddressKind::kPublic : found->kind;
}

AddressKind classify6(const Bytes16& address) {
  const auto found = std::ranges::find_if(
      kNetworks6, [&](const Network6& network) { return inside(address, network.address, network.bits); });
  if (found != kNetworks6.end()) return found->kind;
  for (const auto& embedding : kEmbeddings) {
    if (!inside(address, embedding.prefix, embedding.bits)) continue;
    Bytes4 inner{};
    std::copy_n(address.begin() + static_cast<std::ptrdiff_t>(embedding.offset), inner.size(), inner.begin());
    return classify4(inner);
  }
  return AddressKind::kPublic;
}

}  // namespace

AddressKind classify_address(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, &address, sizeof in);
    Bytes4 bytes{};
    std::memcpy(bytes.data(), &in.sin_addr, bytes.size());
    return classify4(bytes);
  }
  if (address.sa_family == AF_INET6) {
    sockaddr_in6 in{};
    std::memcpy(&in, &address, sizeof in);
    Bytes16 bytes{};
    std::memcpy(bytes.data(), &in.sin6_addr, bytes.size());
    return classify6(bytes);
  }
  return AddressKind::kForbidden;
}

AddressKind classify_address(std::string_view numeric) {
  const std::string text(numeric);
  Bytes4 four{};
  if (::inet_pton(AF_INET, text.c_str(), four.data()) == 1) return classify4(four);
  Bytes16 six{};
  if (::inet_pton(AF_INET6, text.c_str(), six.data()) == 1) return classify6(six);
  return AddressKind::kForbidden;
}

bool EgressPolicy::allows(AddressKind kind) const {
  switch (kind) {
    case AddressKind::kPublic: return true;
    case AddressKind::kLoopback: return allow_loopback;
    case AddressKind::kPrivate: return allow_private;
    case AddressKind::kForbidden: return false;
  }
  return false;
}

std::string_view describe(AddressKind kind) {
  switch (kind) {
    case AddressKind::kPublic: return "public address";
    case AddressKind::kLoopback: return "loopback address";
    case AddressKind::kPrivate: return "private network address";
    case AddressKind::kForbidden: return "link-local, metadata or otherwise unusable address";
  }
  return "address";
}

}  // namespace backstay::http
