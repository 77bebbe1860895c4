#include "cli/house_client.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/text.h"

namespace backstay::cli {
namespace {

using core::Code;
using core::Error;

constexpr std::chrono::seconds kDeadline{60};
constexpr auto kTransferDeadline = std::chrono::hours(7 * 24);

std::string read_text(os::FileSystem& files, const std::string& path) {
  try {
    return std::string(core::trim(core::as_text(files.read_file(path))));
  } catch (const Error& error) {
    throw Error(Code::kConfigError, error.message()).with_hint("name a file that this user may read");
  }
}

std::string without_last_slash(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  return url;
}

std::string find_url(const ConnectionOptions& options, const Environment& environment, os::FileSystem& files) {
  if (!options.server.empty()) return options.server;
  if (const auto url = environment("BACKSTAY_URL")) return *url;
  if (!options.state_dir.empty()) {
    const core::json::value endpoint = core::parse_json(read_text(files, options.state_dir + "/endpoint.json"));
    return core::require_string(core::as_object(endpoint), "url");
  }
  throw Error(Code::kConfigError, "no server is named")
      .with_hint(
          "give --server URL and --token-file FILE, set BACKSTAY_URL and BACKSTAY_TOKEN, or give --state-dir DIR");
}

core::Secret find_token(const ConnectionOptions& options, const Environment& environment, os::FileSystem& files) {
  if (!options.token_file.empty()) return core::Secret(read_text(files, options.token_file));
  if (const auto token = environment("BACKSTAY_TOKEN")) return core::Secret(*token);
  if (!options.state_dir.empty()) return core::Secret(read_text(files, options.state_dir + "/admin-token"));
  throw Error(Code::kConfigError, "no token is named").with_hint("give --token-file FILE or set BACKSTAY_TOKEN");
}

Code code_of_status(int status) {
  switch (status) {
    case 400: return Code::kInvalidArgument;
    case 401: return Code::kUnauthenticated;
    case 403: return Code::kForbidden;
    case 404: return Code::kNotFound;
    case 409: return Code::kConflict;
    case 503: return Code::kUnavailable;
    default: return Code::kInternal;
  }
}

}  // namespace

Connection resolve_connection(const ConnectionOptions& options, const Environment& environment, os::FileSystem& files) {
  Connection connection;
  connection.url = without_last_slash(find_url(options, environment, files));
  connection.token = find_token(options, environment, files);
  connection.ca_file = options.ca_file;
  return connection;
}

Error error_of_answer(int status, std::string_view body) {
  core::json::value parsed;
  try {
    parsed = core::parse_json(body);
  } catch (const Error&) {
    parsed = nullptr;  // a proxy between us and the server answers in HTML
  }
  const auto* envelope = parsed.if_object();
  if (envelope == nullptr) {
    return {code_of_status(status), fmt::format("the server answered {} without a reason", status)};
  }
  const auto code_text = core::find_string(*envelope, "code");
  Error error(code_text ? core::code_from_name(*code_text) : code_of_status(status),
              core::find_string(*envelope, "detail")
                  .value_or(core::find_string(*envelope, "title").value_or(fmt::format("status {}", status))));
  if (const auto hint = core::find_string(*envelope, "hint")) error.with_hint(*hint);
  if (const auto* fields = core::find_array(*envelope, "errors")) {
    for (const auto& field : *fields) {
      const auto& object = core::as_object(field);
      error.with_field(core::find_string(object, "pointer").value_or(""), core::require_string(object, "message"));
    }
  }
  const auto trace = core::find_string(*envelope, "traceId");
  if (trace && status >= 500) error.with_hint(fmt::format("{} (trace ID {})", error.hint(), *trace));
  return error;
}

core::json::value HouseClient::get(const std::string& path, const Query& query) {
  std::string target = path;
  for (char separator = '?'; const auto& [name, value] : query) {
    target += fmt::format("{}{}={}", std::exchange(separator, '&'), name, core::url_encode(value));
  }
  return call("GET", target, "");
}

core::json::value HouseClient::send(std::string_view method, const std::string& path, const core::json::value& body) {
  return call(method, path, body.is_null() ? "" : core::to_text(body));
}

http::ClientRequest HouseClient::request_to(std::string_view method, const std::string& path) const {
  http::ClientRequest request;
  request.method = method;
  request.url = connection_.url + path;
  request.headers.set("Authorization", "Bearer " + connection_.token.reveal());
  request.headers.set("Accept", "application/json");
  request.deadline = kDeadline;
  return request;
}

http::ClientResponse HouseClient::answer_to(const http::ClientRequest& request) {
  http::ClientResponse answer;
  try {
    answer = transport_.send(request);
  } catch (const Error& error) {
    if (error.code() == Code::kInvalidArgument) throw Error(Code::kConfigError, error.message());
    throw Error(Code::kUnavailable,
                fmt::format("the server at '{}' cannot be reached: {}", connection_.url, error.what()))
        .with_hint("check that it runs (backstay serve) and that the address is right");
  }
  if (answer.status < 200 || answer.status > 299) throw error_of_answer(answer.status, core::as_text(answer.body));
  return answer;
}

core::json::value HouseClient::call(std::string_view method, const std::string& path, const std::string& body) {
  auto request = request_to(method, path);
  if (!body.empty()) request.headers.set("Content-Type", "application/json");
  request.body = core::as_bytes(body);
  const auto answer = answer_to(request);
  const std::string_view text = core::as_text(answer.body);
  return core::trim(text).empty() ? core::json::value() : core::parse_json(text);
}

core::json::value HouseClient::upload(const std::string& path, core::ByteSpan bytes) {
  auto request = request_to("POST", path);
  request.headers.set("Content-Type", "application/octet-stream");
  request.deadline = kTransferDeadline;
  request.body = bytes;
  return core::parse_json(core::as_text(answer_to(request).body));
}

void HouseClient::download(const std::string& path, const std::function<void(core::ByteSpan)>& sink) {
  auto request = request_to("GET", path);
  request.headers.set("Accept", "*/*");
  request.deadline = kTransferDeadline;
  request.sink = sink;
  answer_to(request);
}

void HouseClient::follow(const std::string& path, const std::string& last_id, std::chrono::milliseconds at_most,
                         const std::function<void(const StreamEvent&)>& each) {
  auto request = request_to("GET", path);
  request.headers.set("Accept", "text/event-stream");
  if (!last_id.empty()) request.headers.set("Last-Event-ID", last_id);
  request.deadline = at_most;
  EventStream stream(each);
  request.sink = [&](core::ByteSpan piece) { stream.feed(core::as_text(piece)); };
  answer_to(request);
}

}  // namespace backstay::cli
