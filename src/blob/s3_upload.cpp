#include "blob/s3_upload.h"

#include <algorithm>

#include <fmt/format.h>

#include "blob/s3_xml.h"
#include "core/log.h"

namespace backstay::blob {
namespace {

using core::Code;
using core::Error;

constexpr std::size_t kMaxParts = 10'000;

}  // namespace

S3Upload::S3Upload(S3Client& client, std::string full_key, std::uint64_t part_size)
    : client_(client), key_(std::move(full_key)), part_size_(part_size) {}

S3Upload::~S3Upload() {
  if (upload_id_.empty()) return;
  try {
    client_.send({.method = "DELETE", .key = key_, .query = {{"uploadId", upload_id_}}});
  } catch (const Error& error) {
    core::log_warning("store.abort_failed", error.message(), {{"key", key_}});
  }
}

void S3Upload::send_whole(core::ByteSpan content) {
  while (!content.empty()) {
    const auto part = content.first(std::min<std::size_t>(part_size_, content.size()));
    send_part(part);
    content = content.subspan(part.size());
  }
  complete();
}

void S3Upload::append(core::ByteSpan bytes) {
  core::append(pending_, bytes);
  std::size_t sent = 0;
  try {
    for (; pending_.size() - sent > part_size_; sent += part_size_) {
      send_part(core::ByteSpan(pending_).subspan(sent, part_size_));
    }
  } catch (const Error&) {
    pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(sent));
    throw;
  }
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(sent));
}

void S3Upload::finish() {
  if (upload_id_.empty() && etags_.empty() && pending_.size() <= part_size_) {
    client_.send_expecting_success({.method = "PUT", .key = key_, .body = pending_});
    return;
  }
  append({});
  if (!pending_.empty()) {
    send_part(pending_);
    pending_.clear();
  }
  complete();
}

void S3Upload::send_part(core::ByteSpan part) {
  if (etags_.size() >= kMaxParts) {
    throw Error(Code::kStoreRefused, fmt::format("'{}' has more than {} parts", key_, kMaxParts));
  }
  if (upload_id_.empty()) {
    const auto begun = client_.send_expecting_success({.method = "POST", .key = key_, .query = {{"uploads", ""}}});
    upload_id_ = parse_upload_id(begun.body);
  }
  const S3Request request{.method = "PUT",
                          .key = key_,
                          .query = {{"partNumber", std::to_string(etags_.size() + 1)}, {"uploadId", upload_id_}},
                          .body = part};
  const auto etag = client_.send_expecting_success(request).headers.find("ETag");
  if (!etag) throw Error(Code::kStoreRefused, fmt::format("the store gives no ETag for a part of '{}'", key_));
  etags_.push_back(*etag);
  size_ += part.size();
}

void S3Upload::complete() {
  const std::string body = make_complete_request(etags_);
  const S3Request request{.method = "POST",
                          .key = key_,
                          .query = {{"uploadId", upload_id_}},
                          .headers = {{"Content-Type", "application/xml"}},
                          .body = core::as_bytes(body)};
  const bool repeated = std::exchange(complete_tried_, true);
  auto response = client_.send(request);
  // The protocol may report a failure after it has begun to answer 200.
  if (response.status == 200 && parse_s3_error(response.body)) response.status = 500;
  if (response.status / 100 != 2) {
    const bool lost_answer = repeated && s3_code_of(response) == "NoSuchUpload" && completed_earlier();
    if (!lost_answer) client_.fail(request, response);
  }
  upload_id_.clear();
}

bool S3Upload::completed_earlier() {
  const auto response = client_.send({.method = "HEAD", .key = key_});
  return response.status == 200 && response.headers.find("Content-Length") == std::to_string(size_);
}

}  // namespace backstay::blob
