// A backend by the adapter contract, as its caller sees it: requests, and answers that are believed only as far as they
// are what the contract says.
#pragma once

#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/json.h"
#include "http/client.h"
#include "model/provider.h"

namespace backstay::providers {

/// What a backend reports of one service. What it does not report is not known.
struct BackendReport {
  std::optional<core::json::object> parameters{};
  std::optional<core::json::object> config{};
  core::json::object details{};
  std::optional<bool> pause{};
  std::optional<std::string> version{};
  /// The backend's own words, cut to a length for people.
  std::string error{};
};

/// A report, or why the answer cannot be used.
struct BackendAnswer {
  std::optional<BackendReport> report{};
  std::string fault{};
};

struct BackendBackup {
  bool exists = false;
  std::string error{};
};

/// The text with what it quotes of the secrets hidden: backends repeat what they were sent.
std::string without_secrets(std::string text, const model::Secrets& secrets);

/// Thread-safe if the transport is. Every call has a deadline and throws
///   backend_unreachable     no connection, no answer in time, or an answer that says "later" (408, 425, 429, 5xx)
///   backend_refused         the backend understood and refuses; its words are in the message
///   backend_invalid_answer  something that the contract does not have: no JSON, wrong types, too long, a redirect
///   egress_refused, cancelled, invalid_argument as the transport does.
class RestBackend {
 public:
  RestBackend(http::Transport& transport, model::ApiBackend address);

  /// Every id that the backend knows.
  std::vector<std::string> list(std::stop_token stop) const;
  /// Ids that the backend does not know are left out.
  std::map<std::string, BackendAnswer> poll(const std::vector<std::string>& ids, std::stop_token stop) const;
  /// A service that the backend has already is fine.
  void create(const core::json::object& body, std::stop_token stop) const;
  void change(const std::string& id, const core::json::object& body, std::stop_token stop) const;
  /// False if the backend does not know it.
  bool remove(const std::string& id, std::stop_token stop) const;

  void put_backup(const std::string& id, const core::json::object& body, std::stop_token stop) const;
  /// Nothing if the backend does not know it.
  std::optional<BackendBackup> backup(const std::string& id, const core::json::object& body,
                                      std::stop_token stop) const;
  /// False if the backend does not know it.
  bool remove_backup(const std::string& id, const core::json::object& body, std::stop_token stop) const;

 private:
  http::ClientResponse send(std::string_view method, const std::string& path, const core::json::object* body,
                            std::stop_token stop) const;
  /// As send(), and an answer that is no success is thrown. Nothing for 404.
  std::optional<http::ClientResponse> send_known(std::string_view method, const std::string& path,
                                                 const core::json::object* body, std::stop_token stop) const;

  http::Transport& transport_;
  model::ApiBackend address_;
};

}  // namespace backstay::providers
