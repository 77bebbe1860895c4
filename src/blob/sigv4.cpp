#include "blob/sigv4.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "codec/hash.h"
#include "core/bytes.h"
#include "core/text.h"

namespace backstay::blob {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

/// Names in lower case, values trimmed with inner runs of spaces made one, values of one name joined by commas.
std::map<std::string, std::string> canonical_headers(const http::Headers& headers) {
  std::map<std::string, std::string> canonical;
  for (const auto& [name, value] : headers) {
    std::string text;
    for (const char c : core::trim(value)) {
      if (c != ' ' || text.empty() || text.back() != ' ') text += c;
    }
    const auto [at, fresh] = canonical.try_emplace(core::to_lower(name), text);
    if (!fresh) at->second += "," + text;
  }
  return canonical;
}

std::string signed_headers(const std::map<std::string, std::string>& headers) {
  std::vector<std::string> names;
  for (const auto& [name, value] : headers) names.push_back(name);
  return fmt::format("{}", fmt::join(names, ";"));
}

std::string hash(std::string_view text) { return core::to_hex(codec::sha256(core::as_bytes(text))); }

codec::Digest signing_key(const Credentials& credentials, std::string_view day, const SigningScope& scope) {
  const std::string secret = "AWS4" + credentials.secret_key.reveal();
  codec::Digest key = codec::hmac_sha256(core::as_bytes(secret), core::as_bytes(day));
  for (const std::string_view part :
       {std::string_view(scope.region), std::string_view(scope.service), std::string_view("aws4_request")}) {
    key = codec::hmac_sha256(key, core::as_bytes(part));
  }
  return key;
}

}  // namespace

std::string format_amz_date(core::Timestamp time) {
  std::string text = core::format_time(std::chrono::floor<std::chrono::seconds>(time));
  std::erase_if(text, [](char c) { return c == '-' || c == ':'; });
  return text;
}

std::string canonical_query(const std::vector<std::pair<std::string, std::string>>& query) {
  std::vector<std::pair<std::string, std::string>> encoded;
  for (const auto& [name, value] : query) encoded.emplace_back(core::url_encode(name), core::url_encode(value));
  std::ranges::sort(encoded);
  std::vector<std::string> parts;
  for (const auto& [name, value] : encoded) parts.push_back(name + "=" + value);
  return fmt::format("{}", fmt::join(parts, "&"));
}

std::string canonical_request(const SigningInput& input) {
  const auto headers = canonical_headers(input.headers);
  std::string lines;
  for (const auto& [name, value] : headers) lines += name + ":" + value + "\n";
  return fmt::format("{}\n{}\n{}\n{}\n{}\n{}", input.method, input.path, canonical_query(input.query), lines,
                     signed_headers(headers), input.payload_hash);
}

std::string authorization(const SigningInput& input, const Credentials& credentials, const SigningScope& scope,
                          core::Timestamp time) {
  const std::string date = format_amz_date(time);
  const std::string day = date.substr(0, 8);
  const std::string scope_text = fmt::format("{}/{}/{}/aws4_request", day, scope.region, scope.service);
  const std::string to_sign =
      fmt::format("{}\n{}\n{}\n{}", kAlgorithm, date, scope_text, hash(canonical_request(input)));
  const auto signature = codec::hmac_sha256(signing_key(credentials, day, scope), core::as_bytes(to_sign));
  return fmt::format("{} Credential={}/{}, SignedHeaders={}, Signature={}", kAlgorithm, credentials.access_key,
                     scope_text, signed_headers(canonical_headers(input.headers)), core::to_hex(signature));
}

}  // namespace backstay::blob
