#include "blob/s3_xml.h"

#include <sstream>

#include <fmt/format.h>
#include <pugixml.hpp>

#include "core/error.h"
#include "core/text.h"

namespace backstay::blob {
namespace {

constexpr unsigned kParse = pugi::parse_default & ~pugi::parse_doctype;

[[noreturn]] void refuse(std::string_view what, core::ByteSpan xml) {
  throw core::Error(core::Code::kStoreRefused, fmt::format("the store's answer is not a {} document: '{}'", what,
                                                           core::as_text(xml).substr(0, 100)));
}

pugi::xml_node root_of(pugi::xml_document& document, core::ByteSpan xml, const char* name) {
  if (!document.load_buffer(xml.data(), xml.size(), kParse)) refuse(name, xml);
  const pugi::xml_node root = document.child(name);
  if (!root) refuse(name, xml);
  return root;
}

std::string text_of(const pugi::xml_node& parent, const char* name) { return parent.child(name).text().as_string(); }

std::string to_text(const pugi::xml_document& document) {
  std::ostringstream out;
  document.save(out, "", pugi::format_raw);
  return out.str();
}

core::Timestamp time_or_epoch(const std::string& text) {
  return text.empty() ? core::Timestamp() : core::parse_time(text);
}

ObjectInfo object_of(const pugi::xml_node& node, bool encoded, core::ByteSpan xml) {
  try {
    const std::string key = text_of(node, "Key");
    return {.key = encoded ? core::url_decode(key) : key,
            .size = node.child("Size").text().as_ullong(),
            .modified = time_or_epoch(text_of(node, "LastModified"))};
  } catch (const core::Error&) {
    refuse("readable ListBucketResult", xml);  // a time or an escape that is none
  }
}

}  // namespace

std::optional<S3ErrorBody> parse_s3_error(core::ByteSpan xml) {
  pugi::xml_document document;
  if (xml.empty() || !document.load_buffer(xml.data(), xml.size(), kParse)) return std::nullopt;
  const pugi::xml_node root = document.child("Error");
  if (!root) return std::nullopt;
  return S3ErrorBody{.code = text_of(root, "Code"),
                     .message = text_of(root, "Message"),
                     .region = text_of(root, "Region"),
                     .endpoint = text_of(root, "Endpoint"),
                     .request_id = text_of(root, "RequestId")};
}

S3ListPage parse_list_page(core::ByteSpan xml) {
  pugi::xml_document document;
  const pugi::xml_node root = root_of(document, xml, "ListBucketResult");
  const bool encoded = text_of(root, "EncodingType") == "url";
  S3ListPage page;
  for (const auto& node : root.children("Contents")) page.objects.push_back(object_of(node, encoded, xml));
  if (text_of(root, "IsTruncated") == "true") {
    page.next_token = text_of(root, "NextContinuationToken");
    if (page.next_token.empty()) refuse("complete ListBucketResult", xml);
  }
  return page;
}

std::string parse_upload_id(core::ByteSpan xml) {
  pugi::xml_document document;
  std::string id = text_of(root_of(document, xml, "InitiateMultipartUploadResult"), "UploadId");
  if (id.empty()) refuse("complete InitiateMultipartUploadResult", xml);
  return id;
}

std::vector<S3DeleteFailure> parse_delete_result(core::ByteSpan xml) {
  pugi::xml_document document;
  std::vector<S3DeleteFailure> failures;
  for (const auto& node : root_of(document, xml, "DeleteResult").children("Error")) {
    failures.push_back(
        {.key = text_of(node, "Key"), .code = text_of(node, "Code"), .message = text_of(node, "Message")});
  }
  return failures;
}

std::string parse_versioning_status(core::ByteSpan xml) {
  pugi::xml_document document;
  return text_of(root_of(document, xml, "VersioningConfiguration"), "Status");
}

std::optional<std::string> parse_lock_rule(core::ByteSpan xml) {
  pugi::xml_document document;
  const pugi::xml_node retention =
      root_of(document, xml, "ObjectLockConfiguration").child("Rule").child("DefaultRetention");
  if (!retention) return std::nullopt;
  const std::string days = text_of(retention, "Days");
  return fmt::format("{} for {} {}", text_of(retention, "Mode"), days.empty() ? text_of(retention, "Years") : days,
                     days.empty() ? "years" : "days");
}

std::string make_delete_request(std::span<const std::string> full_keys) {
  pugi::xml_document document;
  pugi::xml_node root = document.append_child("Delete");
  root.append_child("Quiet").text() = "true";
  for (const auto& key : full_keys) root.append_child("Object").append_child("Key").text() = key.c_str();
  return to_text(document);
}

std::string make_complete_request(const std::vector<std::string>& etags) {
  pugi::xml_document document;
  pugi::xml_node root = document.append_child("CompleteMultipartUpload");
  for (std::size_t i = 0; i < etags.size(); ++i) {
    pugi::xml_node part = root.append_child("Part");
    part.append_child("PartNumber").text() = i + 1;
    part.append_child("ETag").text() = etags[i].c_str();
  }
  return to_text(document);
}

}  // namespace backstay::blob
