// The XML of the S3 protocol.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "blob/store.h"

namespace backstay::blob {

/// An <Error> document, or what of it is there.
struct S3ErrorBody {
  std::string code;
  std::string message;
  std::string region;
  std::string endpoint;
  std::string request_id;
};
/// Nothing if the text is no <Error> document.
std::optional<S3ErrorBody> parse_s3_error(core::ByteSpan xml);

struct S3ListPage {
  std::vector<ObjectInfo> objects;  // full keys
  std::string next_token;           // empty on the last page
};
struct S3DeleteFailure {
  std::string key;
  std::string code;
  std::string message;
};

/// These throw Error(store_refused) for a document that is not what the protocol says.
S3ListPage parse_list_page(core::ByteSpan xml);
std::string parse_upload_id(core::ByteSpan xml);
std::vector<S3DeleteFailure> parse_delete_result(core::ByteSpan xml);
/// "Enabled", "Suspended" or empty.
std::string parse_versioning_status(core::ByteSpan xml);
/// "GOVERNANCE for 30 days"; nothing if there is no default retention.
std::optional<std::string> parse_lock_rule(core::ByteSpan xml);

std::string make_delete_request(std::span<const std::string> full_keys);
/// `etags` of parts 1, 2, …
std::string make_complete_request(const std::vector<std::string>& etags);

}  // namespace backstay::blob
