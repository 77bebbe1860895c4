#include "http/server_core.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/log.h"
#include "core/text.h"
#include "http/router.h"

namespace backstay::http {
namespace {

using core::Code;
using core::Error;

core::Counter answer_counter(core::Metrics& metrics, const char* status_class) {
  return metrics.counter("backstay_http_answers_total", "answers sent, by class of status", {{"status", status_class}});
}

bool is_lower_hex(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

void append_field(std::string& head, std::string_view name, std::string_view value) {
  head += name;
  head += ": ";
  for (const char c : value) head += c == '\r' || c == '\n' ? ' ' : c;
  head += "\r\n";
}

}  // namespace

ServerCore::ServerCore(ServerConfig config, Handler handler, ErrorRenderer renderer, core::Random& random,
                       core::Metrics& metrics)
    : config_(std::move(config)),
      handler_(std::move(handler)),
      renderer_(std::move(renderer)),
      random_(random),
      answers_{answer_counter(metrics, "1xx"), answer_counter(metrics, "2xx"), answer_counter(metrics, "3xx"),
               answer_counter(metrics, "4xx"), answer_counter(metrics, "5xx")},
      connections_(metrics.gauge("backstay_http_connections", "open client connections")) {}

Response ServerCore::answer(const Request& request) const {
  try {
    return handler_(request);
  } catch (const MethodNotAllowed& error) {
    Response response = render(request, error);
    response.headers.set("Allow", error.allow());
    return response;
  } catch (const Error& error) {
    return render(request, error);
  } catch (const std::exception& error) {
    core::log_error("http.handler_failed", error.what(),
                    {{"trace_id", request.trace_id}, {"method", request.method}, {"path", request.path}});
    return call_renderer(request, Error(Code::kInternal, "the request failed unexpectedly"));
  }
}

Response ServerCore::render(const Request& request, const Error& error) const {
  if (error.code() == Code::kInternal) {
    core::log_error("http.internal_error", error.message(),
                    {{"trace_id", request.trace_id}, {"method", request.method}, {"path", request.path}});
  }
  return call_renderer(request, error);
}

Response ServerCore::call_renderer(const Request& request, const Error& error) const {
  try {
    return renderer_(request, error);
  } catch (const std::exception& failure) {
    core::log_error("http.renderer_failed", failure.what(), {{"trace_id", request.trace_id}});
    return {.status = 500, .headers = {{"Content-Type", "text/plain"}}, .body = "internal error\n", .stream = {}};
  }
}

std::string ServerCore::trace_id(const Headers& headers) {
  const std::string parent = headers.find("traceparent").value_or("");
  const std::string id = parent.size() == 55 && parent[2] == '-' && parent[35] == '-' ? parent.substr(3, 32) : "";
  if (!id.empty() && is_lower_hex(id) && id.find_first_not_of('0') != std::string::npos) return id;
  return core::to_hex(random_.bytes(16));
}

void ServerCore::count_answer(int status) {
  answers_.at(static_cast<std::size_t>(std::clamp(status / 100, 1, 5) - 1)).add();
}

void set_target(Request& request, std::string_view target) {
  const std::string original(target);
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!target.starts_with(scheme)) continue;
    const auto slash = target.find('/', scheme.size());
    target = slash == std::string_view::npos ? "/" : target.substr(slash);
  }
  if (!target.starts_with('/') && target != "*") {
    throw Error(Code::kInvalidArgument, fmt::format("'{}' is not a request target", original.substr(0, 200)));
  }
  const auto question = target.find('?');
  request.path = target.substr(0, question);
  if (question != std::string_view::npos) request.query = parse_query(target.substr(question + 1));
}

std::string format_head(const Response& response, std::optional<std::size_t> body_size, bool chunked, bool keep_alive) {
  std::string head = fmt::format("HTTP/1.1 {} {}\r\n", response.status, reason_phrase(response.status));
  for (const auto& [name, value] : response.headers) append_field(head, name, value);
  if (body_size) append_field(head, "Content-Length", std::to_string(*body_size));
  if (chunked) append_field(head, "Transfer-Encoding", "chunked");
  append_field(head, "Connection", keep_alive ? "keep-alive" : "close");
  return head + "\r\n";
}

}  // namespace backstay::http
