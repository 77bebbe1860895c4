#include "blob/s3_client.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "blob/s3_xml.h"
#include "codec/hash.h"
#include "core/text.h"

namespace backstay::blob {
namespace {

using core::Code;
using core::Error;

constexpr std::string_view kDefaultRegion = "us-east-1";

struct Meaning {
  std::string_view s3_code;
  Code code;
  std::string_view hint;  // empty: the catalogue's
};
constexpr auto kMeanings = std::to_array<Meaning>({
    {"InvalidAccessKeyId", Code::kStoreAccessDenied, "the store does not know this access key: check it"},
    {"SignatureDoesNotMatch", Code::kStoreAccessDenied, "the secret key does not belong to this access key: check it"},
    {"AccessDenied", Code::kStoreAccessDenied,
     "allow this key s3:PutObject, s3:GetObject, s3:DeleteObject, s3:ListBucket and s3:AbortMultipartUpload on the "
     "bucket"},
    {"AllAccessDisabled", Code::kStoreAccessDenied, ""},
    {"AccountProblem", Code::kStoreAccessDenied, ""},
    {"ExpiredToken", Code::kStoreAccessDenied, ""},
    {"InvalidToken", Code::kStoreAccessDenied, ""},
    {"UserSuspended", Code::kStoreAccessDenied, "the store's user is suspended: have its operator enable it"},
    {"NoSuchBucket", Code::kStoreNotFound, ""},
    {"RequestTimeTooSkewed", Code::kStoreRefused,
     "the clocks of this machine and of the store differ by more than 15 minutes: set this machine's time, e.g. with "
     "NTP"},
    {"PermanentRedirect", Code::kStoreRefused, "the bucket is at another endpoint: use the one named in the message"},
    {"QuotaExceeded", Code::kDiskFull, "the store's quota is used up: raise it or remove old backups"},
    {"NotImplemented", Code::kNotSupported, "the store does not have this function"},
    {"SlowDown", Code::kStoreUnreachable, ""},
    {"InternalError", Code::kStoreUnreachable, ""},
    {"ServiceUnavailable", Code::kStoreUnreachable, ""},
    {"RequestTimeout", Code::kStoreUnreachable, ""},
    {"OperationAborted", Code::kStoreUnreachable, ""},
    {"ConditionalRequestConflict", Code::kStoreUnreachable, ""},
});

Code code_of_status(int status) {
  static constexpr std::array kTemporary = {408, 429, 500, 502, 503, 504};
  if (std::ranges::find(kTemporary, status) != kTemporary.end()) return Code::kStoreUnreachable;
  if (status == 401 || status == 403) return Code::kStoreAccessDenied;
  if (status == 501) return Code::kNotSupported;
  return Code::kStoreRefused;
}

std::string printable(core::ByteSpan body) {
  std::string text(core::as_text(body.first(std::min<std::size_t>(body.size(), 200))));
  std::ranges::replace_if(text, [](char c) { return c < ' ' || c > '~'; }, ' ');
  return text;
}

}  // namespace

std::optional<core::Timestamp> parse_http_date(const std::string& text) {
  static constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  const auto parts = core::split(text, ' ');
  if (parts.size() != 6) return std::nullopt;
  const auto month = kMonths.find(parts[2]);
  if (parts[2].size() != 3 || month == std::string_view::npos) return std::nullopt;
  try {
    return core::parse_time(fmt::format("{}-{:02}-{}T{}Z", parts[3], month / 3 + 1, parts[1], parts[4]));
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::string s3_code_of(const http::ClientResponse& response) {
  const auto body = parse_s3_error(response.body);
  if (body && !body->code.empty()) return body->code;
  return response.status == 403 ? "AccessDenied" : "";
}

S3Client::S3Client(S3Location location, Credentials credentials, http::Transport& transport, core::Clock& clock,
                   std::chrono::milliseconds deadline, std::stop_token stop)
    : location_(std::move(location)),
      credentials_(std::move(credentials)),
      transport_(transport),
      clock_(clock),
      deadline_(deadline),
      stop_(std::move(stop)),
      region_(location_.region.empty() ? kDefaultRegion : location_.region) {}

http::ClientResponse S3Client::send(const S3Request& request) {
  const std::string used = region();
  const core::Timestamp asked = clock_.now();
  http::ClientResponse response = transport_.send(sign(request, used), stop_);
  // Answers about the bucket are short: their date is of this moment.
  if (request.key.empty()) note_date(response, asked);
  const auto other = other_region(response, used);
  if (!other) return response;
  {
    const core::LockGuard lock(mutex_);
    region_ = *other;
  }
  return transport_.send(sign(request, *other), stop_);
}

void S3Client::note_date(const http::ClientResponse& response, core::Timestamp asked) {
  const auto date = parse_http_date(response.headers.find("Date").value_or(""));
  if (!date) return;
  const core::Timestamp here = asked + (clock_.now() - asked) / 2;
  const core::LockGuard lock(mutex_);
  clock_offset_ = std::chrono::duration_cast<core::Duration>(*date - here);
}

std::optional<core::Duration> S3Client::clock_offset() const {
  const core::LockGuard lock(mutex_);
  return clock_offset_;
}

http::ClientResponse S3Client::send_expecting_success(const S3Request& request) {
  http::ClientResponse response = send(request);
  if (response.status / 100 != 2) fail(request, response);
  return response;
}

http::ClientRequest S3Client::sign(const S3Request& request, const std::string& region) const {
  const core::Timestamp now = clock_.now();
  const bool secure = location_.endpoint.scheme == "https";
  SigningInput input{.method = request.method,
                     .path = location_.path(request.key),
                     .query = request.query,
                     .headers = request.headers,
                     .payload_hash = ""};
  // TLS protects the body already; hashing it again would cost a second a gigabyte.
  input.payload_hash = secure && !request.body.empty() ? "UNSIGNED-PAYLOAD" : core::to_hex(codec::sha256(request.body));
  input.headers.set("Host", location_.host());
  input.headers.set("x-amz-date", format_amz_date(now));
  input.headers.set("x-amz-content-sha256", input.payload_hash);

  http::ClientRequest signed_request{.method = request.method};
  signed_request.url = fmt::format("{}://{}{}", location_.endpoint.scheme, location_.host(), input.path);
  if (!request.query.empty()) signed_request.url += "?" + canonical_query(request.query);
  signed_request.headers = input.headers;
  signed_request.headers.add("Authorization", authorization(input, credentials_, {.region = region}, now));
  signed_request.body = request.body;
  signed_request.max_response_bytes = request.max_response_bytes;
  signed_request.deadline = deadline_;
  return signed_request;
}

std::string S3Client::region() {
  const core::LockGuard lock(mutex_);
  return region_;
}

std::optional<std::string> S3Client::other_region(const http::ClientResponse& response, const std::string& used) const {
  if (response.status != 301 && response.status != 307 && response.status != 400 && response.status != 403) {
    return std::nullopt;
  }
  std::string named = response.headers.find("x-amz-bucket-region").value_or("");
  if (named.empty()) {
    const auto body = parse_s3_error(response.body);
    if (body) named = body->region;
  }
  if (named.empty() || named == used) return std::nullopt;
  return named;
}

Error S3Client::make_error(std::string_view s3_code, int status, std::string message) const {
  const auto* const meaning = std::ranges::find(kMeanings, s3_code, &Meaning::s3_code);
  if (meaning == kMeanings.end()) return {code_of_status(status), std::move(message)};
  Error error(meaning->code, std::move(message));
  if (!meaning->hint.empty()) error.with_hint(std::string(meaning->hint));
  return error;
}

void S3Client::fail(const S3Request& request, const http::ClientResponse& response) const {
  const std::string what = request.key.empty() ? request.method : fmt::format("{} '{}'", request.method, request.key);
  const auto body = parse_s3_error(response.body);
  std::string message = fmt::format("bucket '{}' at {} answers {} to {}", location_.bucket,
                                    location_.endpoint.authority(), response.status, what);
  if (body) {
    message += fmt::format(": {}", body->code);
    if (!body->message.empty()) message += fmt::format(", {}", body->message);
    if (!body->endpoint.empty()) message += fmt::format(" (endpoint {})", body->endpoint);
    if (!body->request_id.empty()) message += fmt::format(" (request {})", body->request_id);
  } else if (!response.body.empty()) {
    message += fmt::format(": '{}'", printable(response.body));
  }
  throw make_error(s3_code_of(response), response.status, std::move(message));
}

}  // namespace backstay::blob
