#include "api/audit_entry.h"

#include <algorithm>

#include "core/error.h"

namespace backstay::api {
namespace {

constexpr std::size_t kLongestText = 200;

/// Printable, and no longer than a log can bear.
std::string bounded(std::string text) {
  text.resize(std::min(text.size(), kLongestText));
  std::ranges::replace_if(text, [](unsigned char c) { return c < 0x20 || c > 0x7e; }, '?');
  return text;
}

/// The id of what was made.
std::string made_id(const http::Response& response) {
  try {
    const auto body = core::parse_json(response.body);
    const auto* id = body.is_object() ? body.get_object().if_contains("id") : nullptr;
    if (id == nullptr) return "";
    return id->is_string() ? std::string(id->get_string()) : core::to_text(*id);
  } catch (const core::Error&) {
    return "";  // an answer without a body
  }
}

}  // namespace

model::AuditEntry audit_entry(const Endpoint& endpoint, const http::Request& request, const http::Response& response) {
  model::AuditEntry entry;
  entry.method = endpoint.method;
  entry.operation = endpoint.operation;
  entry.path = endpoint.path;
  for (const auto& [name, value] : request.params) entry.parameters[name] = bounded(value);
  for (const auto& parameter : query_parameters(endpoint)) {
    if (const auto value = request.query_value(parameter.name)) entry.parameters[parameter.name] = bounded(*value);
  }
  const auto id = request.params.find("id");
  if (id != request.params.end()) entry.object_id = bounded(id->second);
  if (entry.object_id.empty() && response.status < 300) entry.object_id = made_id(response);
  entry.status = response.status;
  entry.trace_id = request.trace_id;
  entry.request_id = bounded(request.headers.find("X-Request-Id").value_or(""));
  entry.client = request.client;
  return entry;
}

}  // namespace backstay::api
