#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"
#include "core/text.h"
#include "http/client.h"

namespace backstay::http {
namespace {

[[noreturn]] void refuse(std::string_view text, std::string_view why) {
  // What stands before "@" may be a password.
  const auto at = text.rfind('@');
  const std::string_view shown = at == std::string_view::npos ? text : text.substr(at + 1);
  throw core::Error(core::Code::kInvalidArgument,
                    fmt::format("'{}' is not a usable URL: {}", shown.substr(0, 200), why));
}

bool host_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

}  // namespace

std::string Url::authority() const {
  const std::string shown = host.find(':') == std::string::npos ? host : "[" + host + "]";
  const std::uint16_t usual = scheme == "https" ? 443 : 80;
  return port == usual ? shown : fmt::format("{}:{}", shown, port);
}

Url parse_url(std::string_view text) {
  if (std::ranges::any_of(text, [](char c) { return c <= ' ' || c > '~'; }))
    refuse(text, "it has spaces or unusual characters");
  Url url;
  const auto colon = text.find("://");
  if (colon == std::string_view::npos) refuse(text, "it does not start with http:// or https://");
  url.scheme = core::to_lower(text.substr(0, colon));
  if (url.scheme != "http" && url.scheme != "https") refuse(text, "it does not start with http:// or https://");
  std::string_view rest = text.substr(colon + 3);
  rest = rest.substr(0, rest.find('#'));
  const auto path = std::min(rest.find_first_of("/?"), rest.size());
  std::string_view authority = rest.substr(0, path);
  std::string_view tail = rest.substr(path);
  if (authority.find('@') != std::string_view::npos) refuse(text, "it must not hold a user or a password");

  std::string_view port;
  if (authority.starts_with('[')) {
    const auto bracket = authority.find(']');
    if (bracket == std::string_view::npos) refuse(text, "its IPv6 address has no end");
    url.host = core::to_lower(authority.substr(1, bracket - 1));
    port = authority.substr(bracket + 1);
    if (url.host.find_first_not_of("0123456789abcdef:.") != std::string::npos) refuse(text, "its IPv6 address is none");
  } else {
    const auto port_at = std::min(authority.find(':'), authority.size());
    url.host = core::to_lower(authority.substr(0, port_at));
    port = authority.substr(port_at);
    if (!std::ranges::all_of(url.host, host_character)) refuse(text, "its host name has unusual characters");
  }
  if (url.host.empty()) refuse(text, "it names no host");
  url.port = url.scheme == "https" ? 443 : 80;
  if (!port.empty() && port != ":") {
    const auto number = core::parse_int(port.substr(1));
    if (!port.starts_with(':') || !number || *number < 1 || *number > 65535) refuse(text, "its port is none");
    url.port = static_cast<std::uint16_t>(*number);
  }

  const auto question = tail.find('?');
  url.path = tail.substr(0, question);
  if (!url.path.starts_with('/')) url.path.insert(0, "/");
  if (question != std::string_view::npos) url.query = tail.substr(question + 1);
  return url;
}

}  // namespace backstay::http
