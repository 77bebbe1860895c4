#include <fmt/format.h>

#include "api/openapi.h"

namespace backstay::api {
namespace {

namespace json = core::json;

constexpr std::string_view kHead = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Backstay API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
code,pre{font:14px/1.4 ui-monospace,monospace}
pre{overflow:auto;padding:.5rem;border:1px solid #8884}
details{border-bottom:1px solid #8884;padding:.3rem 0}
summary{cursor:pointer}
b{font-weight:normal;text-transform:uppercase}
td{padding:0 1rem 0 0;vertical-align:top}
:root{color-scheme:light dark}
</style></head><body>
)";

std::string escaped(std::string_view text) {
  std::string html;
  for (const char c : text) {
    switch (c) {
      case '<': html += "&lt;"; break;
      case '>': html += "&gt;"; break;
      case '&': html += "&amp;"; break;
      case '"': html += "&quot;"; break;
      default: html += c;
    }
  }
  return html;
}

std::string text_at(const json::object& object, std::string_view key) {
  return escaped(core::find_string(object, key).value_or(""));
}

/// A reference becomes a link to the component's own entry.
std::string schema_html(const json::object& schema) {
  if (const auto target = core::find_string(schema, "$ref")) {
    const auto name = escaped(target->substr(target->rfind('/') + 1));
    return fmt::format("<a href=\"#{0}\">{0}</a>", name);
  }
  return fmt::format("<pre>{}</pre>", escaped(core::to_pretty_text(schema)));
}

std::string content_html(const json::object& holder) {
  const auto* content = core::find_object(holder, "content");
  if (content == nullptr) return "";
  std::string html;
  for (const auto& [type, media] : *content) html += schema_html(media.at("schema").as_object());
  return html;
}

std::string parameters_html(const json::object& operation) {
  const auto* parameters = core::find_array(operation, "parameters");
  if (parameters == nullptr) return "";
  std::string html = "<h4>Parameters</h4><table>";
  for (const auto& item : *parameters) {
    const auto& parameter = item.as_object();
    html += fmt::format("<tr><td><code>{}</code></td><td>{}{}</td><td>{}</td><td><code>{}</code></td></tr>",
                        text_at(parameter, "name"), text_at(parameter, "in"),
                        parameter.contains("required") ? ", required" : "", text_at(parameter, "description"),
                        escaped(core::to_text(parameter.at("schema"))));
  }
  return html + "</table>";
}

std::string operation_html(const std::string& method, const std::string& path, const json::object& operation) {
  std::string html = fmt::format("<details id=\"{}\"><summary><code><b>{}</b> {}</code> {}</summary><p>{}</p>",
                                 text_at(operation, "operationId"), method, escaped(path),
                                 text_at(operation, "summary"), text_at(operation, "description"));
  html += parameters_html(operation);
  if (const auto* body = core::find_object(operation, "requestBody")) html += "<h4>Body</h4>" + content_html(*body);
  html += "<h4>Answers</h4><table>";
  for (const auto& [status, answer] : operation.at("responses").as_object()) {
    html += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td></tr>", escaped(status),
                        text_at(answer.as_object(), "description"), content_html(answer.as_object()));
  }
  return html + "</table></details>\n";
}

/// The operations that carry the tag.
std::string tag_html(const json::object& paths, const json::string& tag) {
  std::string html = fmt::format("<h2>{}</h2>\n", escaped(tag));
  for (const auto& [path, item] : paths) {
    for (const auto& [method, operation] : item.as_object()) {
      const auto* object = operation.if_object();
      if (object != nullptr && object->at("tags").at(0) == tag) html += operation_html(method, path, *object);
    }
  }
  return html;
}

}  // namespace

std::string docs_page(const json::object& document) {
  const auto& info = document.at("info").as_object();
  std::string html =
      std::string(kHead) + fmt::format("<h1>{} {}</h1><p>{}</p><p><a href=\"openapi.json\">openapi.json</a></p>\n",
                                       text_at(info, "title"), text_at(info, "version"), text_at(info, "description"));
  for (const auto& tag : document.at("tags").as_array()) {
    html += tag_html(document.at("paths").as_object(), tag.at("name").as_string());
  }
  html += "<h2>Schemas</h2>\n";
  for (const auto& [name, schema] : document.at("components").at("schemas").as_object()) {
    html += fmt::format("<details id=\"{0}\"><summary><code>{0}</code></summary><pre>{1}</pre></details>\n",
                        escaped(name), escaped(core::to_pretty_text(schema)));
  }
  return html + "</body></html>\n";
}

}  // namespace backstay::api
