#include "blob/s3_store.h"

#include <algorithm>

#include <fmt/format.h>

#include "blob/s3_upload.h"
#include "blob/s3_xml.h"
#include "codec/hash.h"
#include "core/text.h"

namespace backstay::blob {
namespace {

using core::Code;
using core::Error;

constexpr std::uint64_t kSmallestPart = 5 * 1024 * 1024;
constexpr std::size_t kMostKeys = 1000;  // of a listing's page and of a multi-object delete
/// Pages of a listing in a row without a key after those before: a few may be empty.
constexpr int kMostIdlePages = 100;
constexpr std::uint64_t kLargestObject = 1024 * 1024 * 1024;
constexpr std::uint64_t kLargestRefusal = 64 * 1024;

/// The size behind the slash of "bytes 5-9/10".
std::optional<std::uint64_t> total_of(const http::ClientResponse& response) {
  const std::string range = response.headers.find("Content-Range").value_or("");
  const auto size = core::parse_int(range.substr(std::min(range.find('/'), range.size() - 1) + 1));
  if (range.empty() || !size || *size < 0) return std::nullopt;
  return static_cast<std::uint64_t>(*size);
}

http::ClientConfig client_config(const StorePolicy& policy) {
  return {.egress = policy.egress, .ca_file = policy.ca_file, .stall_time = policy.stall_time};
}

}  // namespace

Driver open_s3(const DestinationConfig& config, const StorePolicy& policy, const StoreContext& context) {
  auto store = std::make_unique<S3Store>(
      std::make_unique<http::Client>(client_config(policy)), parse_s3_location(config),
      Credentials{.access_key = config.access_key, .secret_key = config.secret_key}, policy, context);
  StoreDiagnostics* const diagnostics = store.get();
  return {.store = std::move(store), .diagnostics = diagnostics};
}

S3Store::S3Store(std::unique_ptr<http::Transport> transport, S3Location location, Credentials credentials,
                 const StorePolicy& policy, const StoreContext& context)
    : transport_(std::move(transport)),
      client_(std::move(location), std::move(credentials), *transport_, context.clock, policy.request_deadline,
              context.stop),
      part_size_(std::max(policy.part_size, kSmallestPart)),
      random_(context.random) {}

std::string S3Store::full_key(std::string_view key) const {
  check_key(key);
  return client_.location().prefix + std::string(key);
}

void S3Store::put(std::string_view key, core::ByteSpan content) {
  const std::string full = full_key(key);
  // A small rest is no part of its own: a pack, which ends where it is full, would take four requests.
  if (content.size() <= part_size_ + part_size_ / 4) {
    client_.send_expecting_success({.method = "PUT", .key = full, .body = content});
    return;
  }
  S3Upload(client_, full, part_size_).send_whole(content);
}

bool S3Store::put_if_absent(std::string_view key, core::ByteSpan content) {
  if (!features().conditional_put) {
    throw Error(Code::kNotSupported, fmt::format("{} has no conditional put", description()));
  }
  return put_conditionally(full_key(key), content);
}

bool S3Store::put_conditionally(const std::string& key, core::ByteSpan content) const {
  const S3Request request{.method = "PUT", .key = key, .headers = {{"If-None-Match", "*"}}, .body = content};
  const auto response = client_.send(request);
  if (response.status == 412) return false;
  if (response.status / 100 != 2) client_.fail(request, response);
  return true;
}

StoreFeatures S3Store::features() const {
  {
    const core::LockGuard lock(mutex_);
    if (conditional_put_) return {.conditional_put = *conditional_put_};
  }
  const bool works = try_condition();
  const core::LockGuard lock(mutex_);
  conditional_put_ = works;
  return {.conditional_put = works};
}

bool S3Store::try_condition() const {
  const std::string key = client_.location().prefix + ".backstay-condition-" + random_.uuid();
  client_.send_expecting_success({.method = "PUT", .key = key});
  bool refused = false;
  try {
    refused = !put_conditionally(key, {});
  } catch (const Error& error) {
    if (error.retryable()) throw;  // it says nothing about the feature
  }
  client_.send_expecting_success({.method = "DELETE", .key = key});
  return refused;
}

std::unique_ptr<Upload> S3Store::begin_upload(std::string_view key) {
  return std::make_unique<S3Upload>(client_, full_key(key), part_size_);
}

std::optional<http::ClientResponse> S3Store::get_response(std::string_view key, const std::string& range,
                                                          std::uint64_t length) {
  S3Request request{.key = full_key(key), .max_response_bytes = std::max(length, kLargestRefusal)};
  if (!range.empty()) request.headers.add("Range", range);
  auto response = client_.send(request);
  if (response.status == 404 && s3_code_of(response) != "NoSuchBucket") return std::nullopt;
  if (response.status / 100 != 2 && response.status != 416) client_.fail(request, response);
  return response;
}

std::optional<core::Bytes> S3Store::get(std::string_view key) {
  auto response = get_response(key, "", kLargestObject);
  if (!response) return std::nullopt;
  return std::move(response->body);
}

std::optional<core::Bytes> S3Store::get_range(std::string_view key, std::uint64_t offset, std::uint64_t length) {
  if (length == 0) return head(key) ? std::optional(core::Bytes()) : std::nullopt;
  const std::uint64_t last = offset + std::min(length - 1, std::numeric_limits<std::uint64_t>::max() - offset);
  auto response = get_response(key, fmt::format("bytes={}-{}", offset, last), length);
  if (!response) return std::nullopt;
  if (response->status == 416) return core::Bytes();
  if (response->status != 206) {
    throw Error(Code::kStoreRefused, fmt::format("{} ignores the range of a request", description()));
  }
  return std::move(response->body);
}

std::optional<ObjectTail> S3Store::get_tail(std::string_view key, std::uint64_t length) {
  const auto empty_tail = [&]() -> std::optional<ObjectTail> {
    const auto info = head(key);
    if (!info) return std::nullopt;
    return ObjectTail{.content = {}, .object_size = info->size};
  };
  if (length == 0) return empty_tail();
  auto response = get_response(key, fmt::format("bytes=-{}", length), length);
  if (!response) return std::nullopt;
  if (response->status == 416) return empty_tail();  // an empty object has no last byte
  if (response->status == 200 && response->body.size() <= length) {
    const std::uint64_t size = response->body.size();
    return ObjectTail{.content = std::move(response->body), .object_size = size};
  }
  const auto total = total_of(*response);
  if (response->status != 206 || !total) {
    throw Error(Code::kStoreRefused, fmt::format("{} does not answer a range as it must", description()));
  }
  return ObjectTail{.content = std::move(response->body), .object_size = *total};
}

std::optional<ObjectInfo> S3Store::head(std::string_view key) {
  const S3Request request{.method = "HEAD", .key = full_key(key)};
  const auto response = client_.send(request);
  if (response.status == 404) return std::nullopt;
  if (response.status / 100 != 2) client_.fail(request, response);
  const auto size = core::parse_int(response.headers.find("Content-Length").value_or(""));
  if (!size || *size < 0) throw Error(Code::kStoreRefused, fmt::format("{} tells no size of '{}'", description(), key));
  const auto modified = parse_http_date(response.headers.find("Last-Modified").value_or(""));
  return ObjectInfo{.key = std::string(key),
                    .size = static_cast<std::uint64_t>(*size),
                    .modified = modified.value_or(core::Timestamp())};
}

void S3Store::list(std::string_view prefix, std::string_view start_after,
                   const std::function<bool(const ObjectInfo&)>& each) {
  const std::string& own = client_.location().prefix;
  S3Request request{.query = {{"list-type", "2"},
                              {"prefix", own + std::string(prefix)},
                              {"max-keys", std::to_string(kMostKeys)},
                              {"encoding-type", "url"}}};
  const auto fixed = request.query;
  if (!start_after.empty()) request.query.emplace_back("start-after", own + std::string(start_after));
  std::string token;
  std::string last;
  for (int without_progress = 0;;) {
    S3ListPage page = parse_list_page(client_.send_expecting_success(request).body);
    const bool goes_on = !page.objects.empty() && page.objects.back().key > last;
    if (goes_on) last = page.objects.back().key;
    without_progress = goes_on ? 0 : without_progress + 1;
    const bool repeats = !page.next_token.empty() && page.next_token == token;
    if (repeats || without_progress > kMostIdlePages) {
      throw Error(Code::kStoreRefused, fmt::format("the listing of '{}' does not come to an end", description()))
          .with_hint("the store answers the same page again and again; ask its operator");
    }
    for (auto& object : page.objects) {
      if (!object.key.starts_with(own)) continue;
      object.key.erase(0, own.size());
      if (object.key <= start_after || !is_valid_key(object.key)) continue;
      if (!each(object)) return;
    }
    if (page.next_token.empty()) return;
    token = page.next_token;
    request.query = fixed;
    request.query.emplace_back("continuation-token", token);
  }
}

void S3Store::remove(std::span<const std::string> keys) {
  std::vector<std::string> full;
  for (const auto& key : keys) full.push_back(full_key(key));
  for (std::size_t at = 0; at < full.size(); at += kMostKeys) {
    remove_some(std::span(full).subspan(at, std::min(kMostKeys, full.size() - at)));
  }
}

void S3Store::remove_some(std::span<const std::string> full_keys) {
  if (full_keys.size() == 1) {
    const S3Request request{.method = "DELETE", .key = full_keys.front()};
    const auto response = client_.send(request);
    const bool missing = response.status == 404 && s3_code_of(response) != "NoSuchBucket";
    if (response.status / 100 != 2 && !missing) client_.fail(request, response);
    return;
  }
  const std::string body = make_delete_request(full_keys);
  const S3Request request{.method = "POST",
                          .query = {{"delete", ""}},
                          .headers = {{"Content-Type", "application/xml"},
                                      {"Content-MD5", core::to_base64(codec::md5(core::as_bytes(body)))}},
                          .body = core::as_bytes(body)};
  for (const auto& failure : parse_delete_result(client_.send_expecting_success(request).body)) {
    if (failure.code == "NoSuchKey") continue;
    throw client_.make_error(
        failure.code, 400,
        fmt::format("{} does not remove '{}': {} {}", description(), failure.key, failure.code, failure.message));
  }
}

core::Timestamp S3Store::store_time() {
  const auto response = client_.send({.query = {{"list-type", "2"}, {"max-keys", "1"}}});
  const auto date = parse_http_date(response.headers.find("Date").value_or(""));
  if (!date) throw Error(Code::kStoreRefused, fmt::format("{} tells no date", description()));
  return *date;
}

bool S3Store::versioning() {
  const auto response = client_.send_expecting_success({.query = {{"versioning", ""}}});
  return parse_versioning_status(response.body) == "Enabled";
}

std::optional<std::string> S3Store::object_lock() {
  const S3Request request{.query = {{"object-lock", ""}}};
  const auto response = client_.send(request);
  const std::string code = response.status / 100 == 2 ? "" : s3_code_of(response);
  if (code == "ObjectLockConfigurationNotFoundError" || code == "InvalidBucketState" || code == "InvalidRequest") {
    return std::nullopt;
  }
  if (response.status / 100 != 2) client_.fail(request, response);
  return parse_lock_rule(response.body);
}

}  // namespace backstay::blob
