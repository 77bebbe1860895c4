#include "api/import_request.h"

#include <optional>
#include <utility>

#include "api/json_response.h"
#include "core/error.h"
#include "core/text.h"
#include "http/multipart.h"

namespace backstay::api {
namespace {

/// Each has a thread and a file in the spool for as long as its client sends.
constexpr std::size_t kUploads = 16;
constexpr std::size_t kUploadsOfToken = 2;

template <typename Take>
void read_to_end(http::BodySource& source, const Take& take) {
  for (auto piece = source.next(); !piece.empty(); piece = source.next()) take(piece);
}

}  // namespace

ImportRequests::ImportRequests(control::ImportCommands& commands)
    : commands_(commands), places_({.what = "uploads", .of_token = kUploadsOfToken, .of_all = kUploads}) {}

model::Operation ImportRequests::take(const http::Request& request, const std::string& service_id,
                                      const control::Principal& principal, const ReadBody& read_body) {
  if (!request.upload) return commands_.import_dump(service_id, read_body(json_body(request)), principal);
  const auto place = places_.take(principal.token_id);
  return take_upload(request, service_id, principal);
}

model::Operation ImportRequests::take_upload(const http::Request& request, const std::string& service_id,
                                             const control::Principal& principal) {
  auto format = request.query_value("format");
  http::BodySource& source = *request.upload;
  const auto boundary = http::multipart_boundary(request.headers.find("Content-Type").value_or(""));
  auto file = commands_.begin_upload(service_id, format, source.length(), principal);
  if (boundary) {
    http::MultipartReader parts(*boundary, [&](std::string_view bytes) { file->write(bytes); });
    read_to_end(source, [&](std::string_view bytes) { parts.write(bytes); });
    parts.finish();
    const auto named = parts.fields().find("format");
    if (!format && named != parts.fields().end()) format = named->second;
  } else {
    read_to_end(source, [&](std::string_view bytes) { file->write(bytes); });
  }
  return commands_.import_upload(service_id, std::move(file), format, principal);
}

bool brings_file(const http::Request& request) {
  const auto type = request.headers.find("Content-Type").value_or("");
  return core::to_lower(core::trim(std::string_view(type).substr(0, type.find(';')))) != "application/json";
}

control::ImportRequest import_request_from_json(const core::json::object& body) {
  return {.path = core::find_string(body, "path"),
          .destination_id = core::find_string(body, "destinationId"),
          .url = core::find_string(body, "url"),
          .backup_id = core::find_string(body, "backupId"),
          .format = core::find_string(body, "format")};
}

}  // namespace backstay::api
