// AWS Signature Version 4, for requests with an Authorization header.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/secret.h"
#include "core/time.h"
#include "http/types.h"

namespace backstay::blob {

struct Credentials {
  std::string access_key;
  core::Secret secret_key;
};

/// What a signature covers.
struct SigningInput {
  std::string method;
  std::string path;                                        // percent-encoded as it is sent
  std::vector<std::pair<std::string, std::string>> query;  // decoded
  http::Headers headers;                                   // all of them are signed; "Host" must be among them
  std::string payload_hash;                                // hex SHA-256 of the body, or "UNSIGNED-PAYLOAD"
};

struct SigningScope {
  std::string region;
  std::string service = "s3";
};

/// "20130524T000000Z", the form of the x-amz-date header, which must be among the signed headers.
std::string format_amz_date(core::Timestamp time);
/// The query as it is sent and signed: encoded and sorted.
std::string canonical_query(const std::vector<std::pair<std::string, std::string>>& query);
std::string canonical_request(const SigningInput& input);
/// The value of the Authorization header.
std::string authorization(const SigningInput& input, const Credentials& credentials, const SigningScope& scope,
                          core::Timestamp time);

}  // namespace backstay::blob
