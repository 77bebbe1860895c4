// Signed requests to one bucket: region discovery, and errors of the protocol as errors of the catalogue.
#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "blob/s3_location.h"
#include "blob/sigv4.h"
#include "core/error.h"
#include "core/mutex.h"
#include "http/client.h"

namespace backstay::blob {

struct S3Request {
  std::string method = "GET";
  std::string key = {};  // full, i.e. with the prefix; empty: the bucket itself
  std::vector<std::pair<std::string, std::string>> query = {};
  http::Headers headers = {};
  core::ByteSpan body = {};
  std::uint64_t max_response_bytes = 16 * 1024 * 1024;
};

/// Thread-safe.
class S3Client {
 public:
  /// Clock and transport must outlive the client.
  S3Client(S3Location location, Credentials credentials, http::Transport& transport, core::Clock& clock,
           std::chrono::milliseconds deadline, std::stop_token stop);

  [[nodiscard]] const S3Location& location() const { return location_; }

  /// The answer, whatever its status. If the store says that the bucket is in another region, that region is kept and
  /// the request is sent once more. Throws what Transport::send throws.
  http::ClientResponse send(const S3Request& request);
  /// The same, but an answer other than a success is thrown as fail does.
  http::ClientResponse send_expecting_success(const S3Request& request);

  /// The store's clock minus ours, by the date of its latest answer to a request for the bucket; nothing before one.
  [[nodiscard]] std::optional<core::Duration> clock_offset() const EXCLUDES(mutex_);

  /// Throws the catalogue's error for a refused request: code, the store's words, bucket, host and request id.
  [[noreturn]] void fail(const S3Request& request, const http::ClientResponse& response) const;
  /// The error for a code of the protocol, e.g. of a multi-object delete.
  [[nodiscard]] core::Error make_error(std::string_view s3_code, int status, std::string message) const;

 private:
  http::ClientRequest sign(const S3Request& request, const std::string& region) const;
  std::string region() EXCLUDES(mutex_);
  /// The region that a refusal names, if it is another one than `used`.
  std::optional<std::string> other_region(const http::ClientResponse& response, const std::string& used) const;

  const S3Location location_;
  const Credentials credentials_;
  http::Transport& transport_;
  core::Clock& clock_;
  const std::chrono::milliseconds deadline_;
  const std::stop_token stop_;
  void note_date(const http::ClientResponse& response, core::Timestamp asked) EXCLUDES(mutex_);

  mutable core::Mutex mutex_;
  std::string region_ GUARDED_BY(mutex_);
  std::optional<core::Duration> clock_offset_ GUARDED_BY(mutex_);
};

/// "Fri, 24 May 2013 00:00:00 GMT"; nothing for any other form.
std::optional<core::Timestamp> parse_http_date(const std::string& text);
/// The code of an answer's error document, or a code that fits its status where there is none (as for HEAD).
std::string s3_code_of(const http::ClientResponse& response);

}  // namespace backstay::blob
