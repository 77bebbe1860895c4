#include "api/dialect_request.h"

#include "api/json_response.h"
#include "api/request_check.h"

namespace backstay::api {

namespace json = core::json;

Body::Body(const http::Request& request)
    : object_(request.body.empty() ? json::object() : json_body(request)), fields_(object_, "", refused_) {}

std::optional<std::string> Body::word(std::string_view key) {
  auto text = fields_.text(key);
  return text && text->empty() ? std::nullopt : text;
}

bool Body::is_null(std::string_view key) const {
  const auto* found = object_.if_contains(key);
  return found != nullptr && found->is_null();
}

void Body::finish() const { require_none_refused(refused_); }

core::Error renamed(const core::Error& error, const FieldNames& names) {
  core::Error told(error.code(), error.message());
  told.with_hint(error.hint());
  for (const auto& field : error.fields()) {
    const auto own = names.find(field.pointer);
    if (own != names.end() && own->second.empty()) continue;
    told.with_field(own == names.end() ? field.pointer : own->second, field.message);
  }
  return told;
}

}  // namespace backstay::api
