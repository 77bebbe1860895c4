// Imports as requests bring them, whatever the dialect: JSON that says where the dump is, or the dump itself.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "api/token_places.h"
#include "control/import_commands.h"
#include "control/principal.h"
#include "core/json.h"
#include "http/types.h"
#include "model/operation.h"

namespace backstay::api {

/// Thread-safe; one for all dialects.
class ImportRequests {
 public:
  /// The commands outlive it.
  explicit ImportRequests(control::ImportCommands& commands);

  using ReadBody = std::function<control::ImportRequest(const core::json::object& body)>;
  /// An upload is the file of multipart/form-data, with an optional field "format", or the raw body of any type but
  /// JSON, with ?format=. Throws RateLimited for a token that uploads too much at a time, and what the commands throw.
  model::Operation take(const http::Request& request, const std::string& service_id,
                        const control::Principal& principal, const ReadBody& read_body);

 private:
  model::Operation take_upload(const http::Request& request, const std::string& service_id,
                               const control::Principal& principal);

  control::ImportCommands& commands_;
  TokenPlaces places_;
};

/// True for a body that is no JSON: what calls with Endpoint::uploads take as an upload. By the head alone.
bool brings_file(const http::Request& request);

/// {"path"} with or without "destinationId", {"url"} or {"backupId"}, with an optional "format".
control::ImportRequest import_request_from_json(const core::json::object& body);

}  // namespace backstay::api
