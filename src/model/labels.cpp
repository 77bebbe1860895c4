#include "model/labels.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"

namespace backstay::model {
namespace {

constexpr std::size_t kMostLabels = 32;
constexpr std::size_t kLongestName = 63;
constexpr std::size_t kLongestValue = 1024;

bool is_name(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-' || c == '/';
  };
  return !name.empty() && name.size() <= kLongestName && std::ranges::all_of(name, allowed);
}

}  // namespace

void check_labels(const Labels& labels, std::string_view pointer) {
  std::vector<core::FieldError> refused;
  if (labels.size() > kMostLabels) {
    refused.push_back({std::string(pointer), fmt::format("has at most {} labels", kMostLabels)});
  }
  for (const auto& [name, value] : labels) {
    if (!is_name(name)) {
      refused.push_back(
          {core::pointer_to(pointer, name),
           fmt::format("a label's name has 1 to {} letters, digits, '.', '_', '-' and '/'", kLongestName)});
    }
    if (value.size() > kLongestValue) {
      refused.push_back({core::pointer_to(pointer, name), fmt::format("has at most {} bytes", kLongestValue)});
    }
  }
  if (refused.empty()) return;
  core::Error error(core::Code::kInvalidArgument, "the labels are not allowed");
  for (const auto& field : refused) error.with_field(field.pointer, field.message);
  throw core::Error(error);
}

Labels changed(Labels labels, const LabelChanges& changes) {
  for (const auto& [name, value] : changes) {
    if (value) {
      labels[name] = *value;
    } else {
      labels.erase(name);
    }
  }
  return labels;
}

bool has_labels(const Labels& labels, const Labels& wanted) {
  return std::ranges::all_of(wanted, [&](const auto& label) {
    const auto found = labels.find(label.first);
    return found != labels.end() && found->second == label.second;
  });
}

core::json::object to_json(const Labels& labels) {
  core::json::object object;
  for (const auto& [name, value] : labels) object[name] = value;
  return object;
}

Labels labels_from_json(const core::json::object& object) {
  Labels labels;
  for (const auto& [name, value] : object) labels[std::string(name)] = std::string(value.as_string());
  return labels;
}

}  // namespace backstay::model
