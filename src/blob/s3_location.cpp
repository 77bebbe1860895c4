#include "blob/s3_location.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"
#include "core/text.h"

namespace backstay::blob {
namespace {

constexpr std::string_view kScheme = "s3://";
constexpr std::string_view kDefaultRegion = "us-east-1";
constexpr std::size_t kMaxPrefix = 120;  // a key of the contract and this stay below S3's 1024 bytes

struct BucketAndPrefix {
  std::string bucket;
  std::string prefix;
};

BucketAndPrefix split_url(std::string_view url) {
  url.remove_prefix(std::min(kScheme.size(), url.size()));
  const auto slash = url.find('/');
  BucketAndPrefix parts{.bucket = std::string(url.substr(0, slash)), .prefix = ""};
  if (slash != std::string_view::npos) parts.prefix = url.substr(slash + 1);
  if (!parts.prefix.empty() && !parts.prefix.ends_with('/')) parts.prefix += '/';
  return parts;
}

bool good_bucket(std::string_view name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); };
  return name.size() >= 3 && name.size() <= 63 && letter(name.front()) && letter(name.back()) &&
         std::ranges::all_of(name, [&](char c) { return letter(c) || c == '.' || c == '-' || c == '_'; });
}

bool good_prefix(std::string_view prefix) {
  if (prefix.size() > kMaxPrefix) return false;
  if (std::ranges::any_of(prefix, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; }))
    return false;
  if (prefix.empty()) return true;
  const auto segments = core::split(prefix.substr(0, prefix.size() - 1), '/');
  return std::ranges::none_of(segments, [](const auto& part) { return part.empty() || part == "." || part == ".."; });
}

bool is_address(std::string_view host) {
  return host.find(':') != std::string_view::npos || host.find_first_not_of("0123456789.") == std::string_view::npos;
}

std::string endpoint_of(const DestinationConfig& config) {
  if (!config.endpoint_url.empty()) return config.endpoint_url;
  return fmt::format("https://s3.{}.amazonaws.com", config.region.empty() ? kDefaultRegion : config.region);
}

// A dot in the bucket's name would break the endpoint's certificate, and other names are not host names at all.
bool wants_virtual_host(AddressingStyle style, std::string_view host, std::string_view bucket) {
  if (style != AddressingStyle::kAuto) return style == AddressingStyle::kVirtualHost;
  const bool amazon = host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn");
  const bool plain =
      std::ranges::all_of(bucket, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
  return amazon && plain;
}

}  // namespace

std::string S3Location::host() const {
  return virtual_host ? bucket + "." + endpoint.authority() : endpoint.authority();
}

std::string S3Location::path(std::string_view full_key) const {
  std::string path = "/";
  if (!virtual_host) path += bucket;
  if (full_key.empty()) return path;
  if (!path.ends_with('/')) path += '/';
  return path + core::url_encode(full_key, true);
}

std::string S3Location::description() const {
  return fmt::format("s3://{}/{} at {}://{}", bucket, prefix, endpoint.scheme, endpoint.authority());
}

std::string region_of_host(std::string_view host) {
  for (const std::string_view suffix : {".amazonaws.com", ".amazonaws.com.cn"}) {
    if (!host.ends_with(suffix)) continue;
    auto labels = core::split(host.substr(0, host.size() - suffix.size()), '.');
    const std::string& last = labels.back();
    if (last.starts_with("s3-")) return last == "s3-external-1" ? "us-east-1" : last.substr(3);
    return last == "s3" ? "" : last;
  }
  return "";
}

void check_s3(const DestinationConfig& config, std::string_view pointer, core::Error& error) {
  const auto fault = [&](std::string_view field, std::string message) {
    error.with_field(fmt::format("{}/{}", pointer, field), std::move(message));
  };
  const auto [bucket, prefix] = split_url(config.url);
  if (!good_bucket(bucket)) {
    fault("destinationPath", fmt::format("'{}' is not a bucket name; write s3://bucket/prefix/", bucket));
  }
  if (!good_prefix(prefix)) {
    fault("destinationPath",
          fmt::format("the prefix has an empty or dotted segment, unusual characters or more than {} "
                      "bytes",
                      kMaxPrefix));
  }
  if (config.access_key.empty()) fault("accessKey", "the access key is missing");
  if (config.secret_key.empty()) fault("secretKey", "the secret key is missing");
  if (config.region.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") != std::string::npos) {
    fault("region", "a region has lower-case letters, digits and dashes only");
    return;
  }
  try {
    const http::Url url = http::parse_url(endpoint_of(config));
    if (url.path != "/" || !url.query.empty()) fault("endpointUrl", "an endpoint has no path and no query");
  } catch (const core::Error& failure) {
    fault("endpointUrl", failure.message());
  }
}

S3Location parse_s3_location(const DestinationConfig& config) {
  auto [bucket, prefix] = split_url(config.url);
  S3Location location{.endpoint = http::parse_url(endpoint_of(config)),
                      .bucket = std::move(bucket),
                      .prefix = std::move(prefix),
                      .region = config.region};
  location.virtual_host = wants_virtual_host(config.addressing, location.endpoint.host, location.bucket) &&
                          !is_address(location.endpoint.host);
  if (location.region.empty()) location.region = region_of_host(location.endpoint.host);
  return location;
}

}  // namespace backstay::blob
