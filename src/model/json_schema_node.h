// A schema after compilation, for the source files of the validator.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/json.h"
#include "model/json_pattern.h"

namespace backstay::model {

enum TypeBit : unsigned {
  kNull = 1,
  kBoolean = 2,
  kInteger = 4,
  kNumber = 8,
  kString = 16,
  kArray = 32,
  kObject = 64,
};

/// One (sub)schema. Absent keywords are empty; nodes point at others of the same document.
struct SchemaNode {
  std::optional<bool> boolean;
  const SchemaNode* reference = nullptr;
  unsigned types = 0;
  std::optional<std::set<std::string>> enumeration;  ///< canonical texts
  std::string enumeration_text;                      ///< for messages
  std::optional<std::string> constant;               ///< canonical text
  std::string constant_text;
  std::optional<long double> minimum, maximum, exclusive_minimum, exclusive_maximum, multiple_of;
  std::optional<std::uint64_t> min_length, max_length, min_items, max_items, min_properties, max_properties;
  std::optional<Pattern> pattern;
  std::string format;
  bool unique_items = false;
  const SchemaNode* items = nullptr;
  const SchemaNode* contains = nullptr;
  std::vector<const SchemaNode*> prefix_items;
  std::vector<std::pair<std::string, const SchemaNode*>> properties;
  std::vector<std::pair<Pattern, const SchemaNode*>> pattern_properties;
  const SchemaNode* additional_properties = nullptr;
  const SchemaNode* property_names = nullptr;
  std::vector<std::string> required;
  std::vector<const SchemaNode*> all_of, any_of, one_of;
  const SchemaNode* negated = nullptr;
  const SchemaNode* condition = nullptr;
  const SchemaNode* then_schema = nullptr;
  const SchemaNode* else_schema = nullptr;
};

/// Owns the nodes; they do not move.
struct SchemaDocument {
  std::deque<SchemaNode> nodes;
  const SchemaNode* root = nullptr;
};

}  // namespace backstay::model
