// The API's own description, from what routes and checks it: OpenAPI 3.1 for programs, a page for people.
#pragma once

#include <string>
#include <vector>

#include "api/endpoint.h"
#include "core/json.h"

namespace backstay::api {

struct DocumentInfo {
  std::string version;
  /// "https://host:port", where the calls are; paths of the document are relative to "<origin>/api".
  std::string origin;
};

/// Every endpoint once, under the base URL that all but a few have: "<origin>/api". What is (also) at the root says so
/// with servers of its own.
core::json::object openapi_document(const std::vector<Endpoint>& endpoints, const core::json::object& components,
                                    const DocumentInfo& info);

/// The document as one page of HTML, which loads nothing from anywhere.
std::string docs_page(const core::json::object& document);

}  // namespace backstay::api
