// Where a bucket is and how its objects are addressed.
#pragma once

#include <string>
#include <string_view>

#include "blob/destination.h"
#include "http/client.h"

namespace backstay::blob {

struct S3Location {
  http::Url endpoint;
  std::string bucket;
  std::string prefix;  // empty, or ends with "/"
  std::string region;  // empty: not known yet
  bool virtual_host = false;

  /// The host of every request, with the port where it is not the usual one.
  [[nodiscard]] std::string host() const;
  /// The encoded path of a key, prefix included; of the bucket itself for an empty key without prefix.
  [[nodiscard]] std::string path(std::string_view full_key) const;
  /// "s3://bucket/prefix/ at https://host".
  [[nodiscard]] std::string description() const;
};

/// Adds a field to `error` for each fault of an s3:// destination; `pointer` as in validate_destination.
void check_s3(const DestinationConfig& config, std::string_view pointer, core::Error& error);
/// The location of a config without faults.
S3Location parse_s3_location(const DestinationConfig& config);
/// "eu-central-1" for "s3.eu-central-1.amazonaws.com" and its relatives; empty for a host that does not tell.
std::string region_of_host(std::string_view host);

}  // namespace backstay::blob
