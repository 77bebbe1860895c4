#include "cli/cell.h"

#include "core/text.h"

namespace backstay::cli {

std::string cell(const core::json::value& answer, std::string_view key) {
  const auto* object = answer.if_object();
  const auto* value = object == nullptr ? nullptr : object->if_contains(key);
  if (value == nullptr || value->is_null()) return "";
  if (value->is_string()) return std::string(value->get_string());
  if (value->is_bool()) return value->get_bool() ? "yes" : "no";
  return core::to_text(*value);
}

std::string bytes_cell(const core::json::value& answer, std::string_view key) {
  const auto* object = answer.if_object();
  const auto* value = object == nullptr ? nullptr : object->if_contains(key);
  if (value == nullptr || !value->is_number()) return "";
  return core::format_bytes(value->to_number<std::uint64_t>());
}

}  // namespace backstay::cli
