#include "simulation/simulated_s3.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "blob/retrying_store.h"
#include "blob/s3_store.h"
#include "core/error.h"
#include "core/text.h"

namespace backstay::simulation {
namespace {

constexpr std::string_view kHost = "http://store.test/bucket";
constexpr core::Duration kLongestFlight = std::chrono::minutes(15);
constexpr core::Duration kStalest = std::chrono::minutes(30);
constexpr std::size_t kPage = 100;
/// Of a thousand old listings so many have an end that is not.
constexpr unsigned kTorn = 500;

struct Target {
  std::string key;
  std::map<std::string, std::string> query;
  [[nodiscard]] std::string value(const char* name) const {
    const auto at = query.find(name);
    return at == query.end() ? std::string() : at->second;
  }
};

Target parse(std::string_view url) {
  Target target;
  url.remove_prefix(kHost.size());
  const auto question = url.find('?');
  const std::string_view path = url.substr(0, question);
  if (path.size() > 1) target.key = core::url_decode(path.substr(1));
  if (question == std::string_view::npos) return target;
  for (const auto& part : core::split(url.substr(question + 1), '&')) {
    const std::string_view text = part;
    const auto equals = text.find('=');
    target.query[core::url_decode(text.substr(0, equals))] =
        equals == std::string_view::npos ? "" : core::url_decode(text.substr(equals + 1));
  }
  return target;
}

std::string http_date(core::Timestamp time) {
  static constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  const std::string text = core::format_time(std::chrono::floor<std::chrono::seconds>(time));
  const auto month = static_cast<std::size_t>(core::parse_int(text.substr(5, 2)).value() - 1);
  return fmt::format("Mon, {} {} {} {} GMT", text.substr(8, 2), kMonths.substr(month * 3, 3), text.substr(0, 4),
                     text.substr(11, 8));
}

http::ClientResponse refusal(int status, std::string_view code) {
  return {.status = status, .headers = {}, .body = core::to_bytes(fmt::format("<Error><Code>{}</Code></Error>", code))};
}

core::Error unreachable(const char* what) { return {core::Code::kStoreUnreachable, what}; }

class SimulatedS3 final : public http::Transport {
 public:
  SimulatedS3(StoreState& state, Turns& turns, Dice& dice, Time& time, Process& process)
      : state_(state), turns_(turns), dice_(dice), time_(time), process_(process) {}

  using Transport::send;
  http::ClientResponse send(const http::ClientRequest& request, std::stop_token) override {
    const bool dies = turns_.take(process_);
    ++state_.requests;
    state_.arrive(time_);
    auto answer = [&] {
      if (dies) {
        // What it had sent arrives: at once, or when the network likes.
        if (may_be_late(request) && state_.rates.late > 0 && dice_.chance(500)) {
          send_later(request);
        } else if (!state_.away) {
          perform(request);
        }
        process_.dead = true;
        throw core::Error(core::Code::kCancelled, process_.name + " is killed");
      }
      return send_badly(request);
    }();
    return answer;
  }

 private:
  http::ClientResponse send_badly(const http::ClientRequest& request) {
    const FaultRates& rates = state_.rates;
    if (state_.away || dice_.chance(rates.reset)) throw unreachable("the connection was reset");
    if (dice_.chance(rates.refuse)) {
      const auto which = dice_.below(3);
      if (which == 0) return {.status = 429, .headers = {}, .body = {}};
      return which == 1 ? refusal(500, "InternalError") : refusal(503, "SlowDown");
    }
    if (request.method == "PUT" && dice_.chance(rates.full)) return refusal(403, "QuotaExceeded");
    if (may_be_late(request) && dice_.chance(rates.late)) {
      send_later(request);
      throw core::Error(core::Code::kTimeout, "no answer");
    }
    if (may_be_late(request) && dice_.chance(rates.twice)) send_later(request);
    http::ClientResponse response = perform(request);
    if (dice_.chance(rates.fail_after)) return refusal(500, "InternalError");
    if (dice_.chance(rates.lose_answer)) throw unreachable("the connection was reset by the peer");
    return damaged(request, std::move(response));
  }

  http::ClientResponse damaged(const http::ClientRequest& request, http::ClientResponse response) {
    if (response.body.empty() || request.method != "GET") return response;
    if (dice_.chance(state_.rates.cut)) {
      if (dice_.chance(500)) throw unreachable("the answer ended early");
      response.body.resize(dice_.below(response.body.size()));
    }
    const bool object = response.headers.find("ETag").has_value();
    if (object && !response.body.empty() && dice_.chance(state_.rates.corrupt)) {
      response.body[dice_.below(response.body.size())] ^= static_cast<std::byte>(1U << dice_.below(8));
    }
    return response;
  }

  static bool may_be_late(const http::ClientRequest& request) { return request.method == "PUT"; }

  void send_later(const http::ClientRequest& request) {
    const auto delay = core::Duration(dice_.between(1, static_cast<std::uint64_t>(kLongestFlight.count())));
    const Target target = parse(request.url);
    state_.late.push_back({.at = time_.now + delay,
                           .key = target.key,
                           .content = copy(request.body),
                           .if_absent = request.headers.find("If-None-Match").has_value(),
                           .upload = target.value("uploadId"),
                           .part = part_of(target)});
  }

  static Bucket::Content copy(core::ByteSpan body) {
    return std::make_shared<const core::Bytes>(body.begin(), body.end());
  }
  [[nodiscard]] core::Timestamp now() const { return time_.now; }

  http::ClientResponse perform(const http::ClientRequest& request) {
    const Target target = parse(request.url);
    if (target.query.contains("uploads")) return begin_upload(target);
    if (target.query.contains("uploadId")) return upload(request, target);
    if (request.method == "PUT") return put(request, target);
    if (request.method == "DELETE") {
      state_.bucket.remove(target.key, now());
      return {.status = 204, .headers = {}, .body = {}};
    }
    if (request.method == "POST" && target.query.contains("delete")) return remove(core::as_text(request.body));
    if (target.key.empty() && target.query.contains("list-type")) return list(target);
    if (request.method == "GET" || request.method == "HEAD") return get(request, target);
    return refusal(501, "NotImplemented");
  }

  http::ClientResponse put(const http::ClientRequest& request, const Target& target) {
    const bool condition = state_.conditional_put && request.headers.find("If-None-Match").has_value();
    if (condition && state_.bucket.find(target.key) != nullptr) return refusal(412, "PreconditionFailed");
    state_.bucket.put(target.key, copy(request.body), now(), now() + time_.store_error);
    return {.status = 200, .headers = {{"ETag", "\"1\""}}, .body = {}};
  }

  http::ClientResponse begin_upload(const Target& target) {
    const std::string id = std::to_string(++state_.uploads_begun);
    state_.uploads[id].key = target.key;
    return {.status = 200,
            .headers = {},
            .body = core::to_bytes(fmt::format("<InitiateMultipartUploadResult><UploadId>{}</UploadId>"
                                               "</InitiateMultipartUploadResult>",
                                               id))};
  }

  http::ClientResponse upload(const http::ClientRequest& request, const Target& target) {
    const auto at = state_.uploads.find(target.value("uploadId"));
    if (at == state_.uploads.end() || at->second.key != target.key) return refusal(404, "NoSuchUpload");
    if (request.method == "PUT") {
      const auto& content = at->second.parts[part_of(target)] = copy(request.body);
      return {.status = 200, .headers = {{"ETag", etag_of(*content)}}, .body = {}};
    }
    if (request.method == "POST" && !complete(core::as_text(request.body), at->second))
      return refusal(400, "InvalidPart");
    state_.uploads.erase(at);
    return {.status = request.method == "POST" ? 200 : 204,
            .headers = {},
            .body = core::to_bytes("<CompleteMultipartUploadResult></CompleteMultipartUploadResult>")};
  }

  /// The object is what the request names of what has arrived.
  bool complete(std::string_view xml, const StoreState::Upload& upload) {
    constexpr std::string_view kNumber = "<PartNumber>";
    core::Bytes whole;
    for (auto from = xml.find(kNumber); from != std::string_view::npos; from = xml.find(kNumber, from)) {
      from += kNumber.size();
      const std::string_view part = xml.substr(from, xml.find("</Part>", from) - from);
      const auto found = upload.parts.find(static_cast<int>(core::parse_int(part.substr(0, part.find('<'))).value()));
      if (found == upload.parts.end()) return false;
      const std::string etag = etag_of(*found->second);
      if (part.find(std::string_view(etag).substr(1, etag.size() - 2)) == std::string_view::npos) return false;
      core::append(whole, *found->second);
    }
    state_.bucket.put(upload.key, copy(whole), now(), now() + time_.store_error);
    return true;
  }

  static int part_of(const Target& target) {
    return static_cast<int>(core::parse_int(target.value("partNumber")).value_or(0));
  }
  static std::string etag_of(const core::Bytes& content) {
    return fmt::format("\"{:016x}\"", std::hash<std::string_view>()(core::as_text(content)));
  }

  http::ClientResponse remove(std::string_view xml) {
    constexpr std::string_view kOpen = "<Key>";
    for (auto at = xml.find(kOpen); at != std::string_view::npos; at = xml.find(kOpen, at)) {
      at += kOpen.size();
      state_.bucket.remove(std::string(xml.substr(at, xml.find('<', at) - at)), now());
    }
    return {.status = 200, .headers = {}, .body = core::to_bytes("<DeleteResult></DeleteResult>")};
  }

  http::ClientResponse get(const http::ClientRequest& request, const Target& target) {
    const Bucket::Object* const object = state_.bucket.find(target.key);
    if (object == nullptr) return refusal(404, "NoSuchKey");
    const core::Bytes& content = *object->content;
    http::ClientResponse response{.status = 200, .headers = {{"ETag", "\"1\""}}, .body = {}};
    response.headers.add("Last-Modified", http_date(object->modified));
    if (request.method == "HEAD") {
      response.headers.add("Content-Length", std::to_string(content.size()));
      return response;
    }
    std::uint64_t from = 0;
    std::uint64_t to = content.size();
    if (const auto range = request.headers.find("Range")) {
      const std::string_view text = std::string_view(*range).substr(std::string_view("bytes=").size());
      const auto dash = text.find('-');
      const auto last = core::parse_int(text.substr(dash + 1)).value_or(INT64_MAX);
      if (dash == 0) {
        from = to - std::min(to, static_cast<std::uint64_t>(last));
      } else {
        from = static_cast<std::uint64_t>(core::parse_int(text.substr(0, dash)).value());
        if (static_cast<std::uint64_t>(last) < to) to = static_cast<std::uint64_t>(last) + 1;
      }
      if (from >= to) return refusal(416, "InvalidRange");
      response.status = 206;
      response.headers.add("Content-Range", fmt::format("bytes {}-{}/{}", from, to - 1, content.size()));
    }
    response.body.assign(content.begin() + static_cast<std::ptrdiff_t>(from),
                         content.begin() + static_cast<std::ptrdiff_t>(to));
    return response;
  }

  http::ClientResponse list(const Target& target) {
    const std::string after = std::max(target.value("start-after"), target.value("continuation-token"));
    const std::string prefix = target.value("prefix");
    const std::size_t most = std::min<std::size_t>(
        kPage, static_cast<std::size_t>(core::parse_int(target.value("max-keys")).value_or(kPage)));
    const bool stale = dice_.chance(state_.rates.stale);
    const core::Duration age(stale ? dice_.below(static_cast<std::uint64_t>(kStalest.count())) : 0);
    auto found = state_.bucket.list(prefix, after, most, now() - age);
    // A listing takes its time: its end may be younger, so that it misses what moved to a name that it had passed.
    if (stale && dice_.chance(kTorn) && !found.empty()) {
      found.resize(dice_.below(found.size()));
      const std::string passed = found.empty() ? after : found.back().key;
      std::ranges::move(state_.bucket.list(prefix, passed, most - found.size(), now()), std::back_inserter(found));
    }
    std::string xml = "<ListBucketResult><IsTruncated>";
    xml += found.size() == most ? "true</IsTruncated>" : "false</IsTruncated>";
    if (found.size() == most) xml += fmt::format("<NextContinuationToken>{}</NextContinuationToken>", found.back().key);
    for (const auto& object : found) {
      xml += fmt::format("<Contents><Key>{}</Key><LastModified>{}</LastModified><Size>{}</Size></Contents>", object.key,
                         core::format_time(object.modified), object.size);
    }
    return {.status = 200, .headers = {}, .body = core::to_bytes(xml + "</ListBucketResult>")};
  }

  StoreState& state_;
  Turns& turns_;
  Dice& dice_;
  Time& time_;
  Process& process_;
};

}  // namespace

void StoreState::arrive(const Time& time) {
  for (const Late& write : late) {
    if (write.at > time.now) continue;
    if (!write.upload.empty()) {
      const auto upload = uploads.find(write.upload);
      if (upload != uploads.end()) upload->second.parts[write.part] = write.content;
      continue;
    }
    if (write.if_absent && conditional_put && bucket.find(write.key) != nullptr) continue;
    bucket.put(write.key, write.content, time.now, time.now + time.store_error);
  }
  std::erase_if(late, [&](const Late& write) { return write.at <= time.now; });
}

std::unique_ptr<http::Transport> open_simulated_wire(StoreState& state, Turns& turns, Dice& dice, Time& time,
                                                     Process& process) {
  return std::make_unique<SimulatedS3>(state, turns, dice, time, process);
}

blob::S3Location simulated_location() {
  return blob::parse_s3_location({.url = "s3://bucket",
                                  .endpoint_url = "http://store.test",
                                  .region = "us-east-1",
                                  .addressing = blob::AddressingStyle::kPath});
}

std::unique_ptr<blob::Store> open_simulated_store(StoreState& state, Turns& turns, Dice& dice, Time& time,
                                                  Process& process, core::Clock& clock, core::Random& random) {
  const blob::StoreContext context{.clock = clock, .random = random};
  const blob::StorePolicy policy;
  auto s3 = std::make_unique<blob::S3Store>(
      open_simulated_wire(state, turns, dice, time, process), simulated_location(),
      blob::Credentials{.access_key = "key", .secret_key = core::Secret("secret")}, policy, context);
  return std::make_unique<blob::RetryingStore>(std::move(s3), policy.retry, context);
}

}  // namespace backstay::simulation
