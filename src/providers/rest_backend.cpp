#include "providers/rest_backend.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"
#include "core/text.h"

namespace backstay::providers {
namespace {

namespace json = core::json;
using core::Code;
using core::Error;

constexpr auto kDeadline = std::chrono::seconds(15);
constexpr std::uint64_t kLongestAnswer = 4 * 1024 * 1024;
constexpr std::size_t kLargestDetails = 64 * 1024;
constexpr std::size_t kLongestWords = 500;
/// Shorter ones are words of every language.
constexpr std::size_t kShortestHidden = 4;

/// One line of people's text, whatever the backend sent.
std::string as_words(std::string_view text) {
  std::string words(text.substr(0, kLongestWords));
  while (!words.empty() && words.size() == kLongestWords && (words.back() & 0x80) != 0) words.pop_back();
  for (char& c : words) {
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) c = ' ';
  }
  return std::string(core::trim(words));
}

std::string_view text_of(const http::ClientResponse& response) {
  return {reinterpret_cast<const char*>(response.body.data()), response.body.size()};
}

/// {"error": "<text>"}, or what stands there instead.
std::string words_of(const http::ClientResponse& response) {
  try {
    const auto body = core::parse_json(text_of(response));
    if (const auto* object = body.if_object()) {
      if (const auto error = core::find_string(*object, "error")) return as_words(*error);
    }
  } catch (const Error&) {
    return as_words(text_of(response));
  }
  return as_words(text_of(response));
}

[[noreturn]] void invalid(const std::string& what) {
  throw Error(Code::kBackendInvalidAnswer, "the backend's answer is not what the contract says: " + what);
}

json::value body_of(const http::ClientResponse& response) {
  try {
    return core::parse_json(text_of(response));
  } catch (const Error& error) {
    invalid(error.message());
  }
}

json::object object_of(const http::ClientResponse& response) {
  auto body = body_of(response);
  if (!body.is_object()) invalid("it is no JSON object");
  return std::move(body.get_object());
}

bool means_later(int status) {
  return status == 408 || status == 425 || status == 429 || (status > 501 || status == 500);
}

[[noreturn]] void refuse(const http::ClientResponse& response, const json::object* sent) {
  const int status = response.status;
  if (status < 200 || status / 100 == 3) invalid(fmt::format("it has status {}; redirects are not followed", status));
  const auto* secrets = sent == nullptr ? nullptr : core::find_object(*sent, "secrets");
  const auto words =
      secrets == nullptr ? words_of(response) : without_secrets(words_of(response), model::secrets_from_json(*secrets));
  const auto message = fmt::format("the backend answers {}{}{}", status, words.empty() ? "" : ": ", words);
  if (means_later(status)) throw Error(Code::kBackendUnreachable, message);
  Error error(Code::kBackendRefused, message);
  if (status == 401 || status == 403) error.with_hint("check backend.api.secret of the provider");
  throw error;
}

BackendReport read_report(const json::object& object) {
  BackendReport report;
  if (const auto* plan = core::find_object(object, "plan")) {
    if (const auto* parameters = core::find_object(*plan, "parameters", "/plan")) report.parameters = *parameters;
  }
  if (const auto* config = core::find_object(object, "config")) report.config = *config;
  if (const auto* details = core::find_object(object, "details")) report.details = *details;
  static_cast<void>(core::find_bool(report.details, "ready", "/details"));
  if (core::to_text(report.details).size() > kLargestDetails) {
    throw Error(Code::kInvalidArgument, fmt::format("/details is larger than {} KiB", kLargestDetails / 1024));
  }
  report.pause = core::find_bool(object, "pause");
  // The contract has no such field: whoever means something else by it is not held to it.
  const auto* version = object.if_contains("version");
  if (version != nullptr && version->is_string()) report.version = as_words(version->as_string());
  report.error = as_words(core::find_string(object, "error").value_or(""));
  return report;
}

BackendAnswer read_answer(const json::value& value) {
  try {
    return {read_report(core::as_object(value)), {}};
  } catch (const Error& error) {
    return {{}, error.message()};
  }
}

std::string query_of(const std::vector<std::string>& ids) {
  std::string query;
  for (const auto& id : ids) query += (query.empty() ? "?id=" : "&id=") + core::url_encode(id);
  return query;
}

std::string backup_path(const std::string& id) { return "/backups/" + core::url_encode(id); }

}  // namespace

std::string without_secrets(std::string text, const model::Secrets& secrets) {
  for (const auto& [name, secret] : secrets) {
    if (secret.reveal().size() < kShortestHidden) continue;
    for (auto at = text.find(secret.reveal()); at != std::string::npos; at = text.find(secret.reveal(), at + 3)) {
      text.replace(at, secret.reveal().size(), "***");
    }
  }
  return text;
}

RestBackend::RestBackend(http::Transport& transport, model::ApiBackend address)
    : transport_(transport), address_(std::move(address)) {}

http::ClientResponse RestBackend::send(std::string_view method, const std::string& path, const json::object* body,
                                       std::stop_token stop) const {
  const std::string text = body == nullptr ? "" : core::to_text(*body);
  http::ClientRequest request;
  request.method = method;
  request.url = address_.endpoint + path;
  request.headers.add("Accept", "application/json");
  if (!address_.secret.empty()) request.headers.add("Authorization", "Bearer " + address_.secret.reveal());
  if (body != nullptr) request.headers.add("Content-Type", "application/json");
  request.body = core::as_bytes(text);
  request.max_response_bytes = kLongestAnswer;
  request.deadline = kDeadline;
  try {
    return transport_.send(request, std::move(stop));
  } catch (const Error& error) {
    switch (error.code()) {
      case Code::kStoreUnreachable:
      case Code::kTimeout: throw Error(Code::kBackendUnreachable, error.message());
      case Code::kStoreRefused: throw Error(Code::kBackendInvalidAnswer, error.message());
      default: throw;
    }
  }
}

std::optional<http::ClientResponse> RestBackend::send_known(std::string_view method, const std::string& path,
                                                            const json::object* body, std::stop_token stop) const {
  auto response = send(method, path, body, std::move(stop));
  if (response.status == 404) return std::nullopt;
  if (response.status / 100 != 2) refuse(response, body);
  return response;
}

std::vector<std::string> RestBackend::list(std::stop_token stop) const {
  const auto response = send("GET", "", nullptr, std::move(stop));
  if (response.status / 100 != 2) refuse(response, nullptr);
  const auto body = body_of(response);
  const auto* array = body.if_array();
  if (array == nullptr) invalid("the list of ids is no array");
  std::vector<std::string> ids;
  for (const auto& id : *array) {
    if (!id.is_string()) invalid("the list of ids holds something that is no text");
    ids.emplace_back(id.get_string());
  }
  return ids;
}

std::map<std::string, BackendAnswer> RestBackend::poll(const std::vector<std::string>& ids,
                                                       std::stop_token stop) const {
  const auto response = send("GET", query_of(ids), nullptr, std::move(stop));
  if (response.status / 100 != 2) refuse(response, nullptr);
  const auto body = object_of(response);
  std::map<std::string, BackendAnswer> answers;
  for (const auto& id : ids) {
    if (const auto* found = body.if_contains(id)) answers.emplace(id, read_answer(*found));
  }
  return answers;
}

void RestBackend::create(const json::object& body, std::stop_token stop) const {
  const auto response = send("POST", "", &body, stop);
  if (response.status / 100 == 2) return;
  // "It exists" is what an attempt before this one, whose answer was lost, leaves behind.
  const auto id = core::require_string(body, "id");
  if (response.status == 409 && poll({id}, std::move(stop)).contains(id)) return;
  refuse(response, &body);
}

void RestBackend::change(const std::string& id, const json::object& body, std::stop_token stop) const {
  if (send_known("PATCH", "/" + core::url_encode(id), &body, std::move(stop))) return;
  throw Error(Code::kBackendRefused, "the backend does not know the service")
      .with_hint("ask the operator of the backend; recover the service from a backup if its data is lost");
}

bool RestBackend::remove(const std::string& id, std::stop_token stop) const {
  return send_known("DELETE", "/" + core::url_encode(id), nullptr, std::move(stop)).has_value();
}

void RestBackend::put_backup(const std::string& id, const json::object& body, std::stop_token stop) const {
  if (send_known("PUT", backup_path(id), &body, std::move(stop))) return;
  throw Error(Code::kBackendRefused, "the backend takes no backups, or does not know the service");
}

std::optional<BackendBackup> RestBackend::backup(const std::string& id, const json::object& body,
                                                 std::stop_token stop) const {
  const auto response = send_known("POST", backup_path(id) + "/status", &body, std::move(stop));
  if (!response) return std::nullopt;
  const auto object = object_of(*response);
  try {
    const auto exists = core::find_bool(object, "exists");
    if (!exists) invalid("'exists' is missing");
    return BackendBackup{*exists, as_words(core::find_string(object, "error").value_or(""))};
  } catch (const Error& error) {
    if (error.code() != Code::kInvalidArgument) throw;
    invalid(error.message());
  }
}

bool RestBackend::remove_backup(const std::string& id, const json::object& body, std::stop_token stop) const {
  return send_known("DELETE", backup_path(id), &body, std::move(stop)).has_value();
}

}  // namespace backstay::providers
