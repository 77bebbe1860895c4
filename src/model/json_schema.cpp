#include "model/json_schema.h"

#include <cmath>

#include <fmt/format.h>

#include "model/json_compare.h"
#include "model/json_format.h"
#include "model/json_schema_node.h"

namespace backstay::model {
namespace {

namespace json = core::json;

constexpr std::size_t kMostViolations = 100;
/// Deeper than any document that the parser lets in; a schema that refers to itself without end stops here.
constexpr int kDeepest = 256;

using Violations = std::vector<core::FieldError>;

unsigned type_of(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null: return kNull;
    case json::kind::bool_: return kBoolean;
    case json::kind::string: return kString;
    case json::kind::array: return kArray;
    case json::kind::object: return kObject;
    default: return is_integer(value) ? kInteger : kNumber;
  }
}

std::string type_names(unsigned types) {
  if ((types & kNumber) != 0) types &= ~static_cast<unsigned>(kInteger);
  std::string text;
  for (const auto& [bit, name] :
       {std::pair(kNull, "null"), std::pair(kBoolean, "a boolean"), std::pair(kInteger, "an integer"),
        std::pair(kNumber, "a number"), std::pair(kString, "a string"), std::pair(kArray, "an array"),
        std::pair(kObject, "an object")}) {
    if ((types & bit) != 0) text += (text.empty() ? "" : " or ") + std::string(name);
  }
  return text;
}

/// One walk of a value along a schema. The pointer of the value is passed down, violations are collected.
class Validator {
 public:
  explicit Validator(Violations& found) : found_(found) {}

  void check(const SchemaNode& node, const json::value& value, const std::string& at) {
    if (found_.size() >= kMostViolations) return;
    if (++depth_ > kDeepest) {
      add(at, "nests too deeply to be checked");
    } else {
      check_node(node, value, at);
    }
    --depth_;
  }

 private:
  void add(const std::string& at, std::string message) { found_.push_back({at, std::move(message)}); }

  void check_node(const SchemaNode& node, const json::value& value, const std::string& at) {
    if (node.boolean) {
      if (!*node.boolean) add(at, "is not allowed here");
      return;
    }
    if (node.reference != nullptr) return check(*node.reference, value, at);
    if (node.types != 0 && (node.types & type_of(value)) == 0) add(at, "must be " + type_names(node.types));
    if (node.enumeration && !node.enumeration->contains(canonical_text(value))) {
      add(at, "must be one of " + node.enumeration_text);
    }
    if (node.constant && *node.constant != canonical_text(value)) add(at, "must be " + node.constant_text);
    if (!node.format.empty() && !has_format(value, node.format)) add(at, "must have the format '" + node.format + "'");
    if (is_number(value)) check_number(node, as_number(value), at);
    if (value.is_string()) check_text(node, value.get_string(), at);
    if (value.is_array()) check_array(node, value.get_array(), at);
    if (value.is_object()) check_object(node, value.get_object(), at);
    check_composition(node, value, at);
  }

  void check_number(const SchemaNode& node, long double number, const std::string& at) {
    if (node.minimum && number < *node.minimum) add(at, fmt::format("must be at least {}", *node.minimum));
    if (node.maximum && number > *node.maximum) add(at, fmt::format("must be at most {}", *node.maximum));
    if (node.exclusive_minimum && number <= *node.exclusive_minimum) {
      add(at, fmt::format("must be greater than {}", *node.exclusive_minimum));
    }
    if (node.exclusive_maximum && number >= *node.exclusive_maximum) {
      add(at, fmt::format("must be less than {}", *node.exclusive_maximum));
    }
    if (node.multiple_of && !is_multiple(number, *node.multiple_of)) {
      add(at, fmt::format("must be a multiple of {}", *node.multiple_of));
    }
  }

  /// Decimal fractions are not exact in binary, so 0.0075 is a multiple of 0.0001 only within a tolerance.
  static bool is_multiple(long double number, long double of) {
    constexpr long double kTolerance = 1e-9L;
    const long double quotient = number / of;
    return std::isfinite(quotient) && std::fabs(quotient - std::nearbyint(quotient)) <=
                                          kTolerance * std::fmax(1.0L, std::fabs(quotient) * kTolerance);
  }

  void check_text(const SchemaNode& node, std::string_view text, const std::string& at) {
    const auto length = code_points(text);
    if (node.min_length && length < *node.min_length) {
      add(at, fmt::format("must have at least {} characters", *node.min_length));
    }
    if (node.max_length && length > *node.max_length) {
      add(at, fmt::format("must have at most {} characters", *node.max_length));
    }
    if (!node.pattern) return;
    const auto result = node.pattern->search(text);
    if (result == PatternResult::kNoMatch) add(at, "must match the pattern " + node.pattern->expression());
    if (result == PatternResult::kTooComplex) add(at, "is too long for the pattern " + node.pattern->expression());
  }

  void check_array(const SchemaNode& node, const json::array& array, const std::string& at) {
    if (node.min_items && array.size() < *node.min_items) {
      add(at, fmt::format("must have at least {} items", *node.min_items));
    }
    if (node.max_items && array.size() > *node.max_items) {
      add(at, fmt::format("must have at most {} items", *node.max_items));
    }
    for (std::size_t i = 0; i < array.size() && found_.size() < kMostViolations; ++i) {
      const SchemaNode* schema = i < node.prefix_items.size() ? node.prefix_items[i] : node.items;
      if (schema != nullptr) check(*schema, array[i], core::pointer_to(at, std::to_string(i)));
    }
    if (node.unique_items) check_unique(array, at);
    if (node.contains != nullptr) {
      bool any = false;
      for (std::size_t i = 0; i < array.size() && !any; ++i) any = matches(*node.contains, array[i]);
      if (!any) add(at, "contains no item of the form that the schema asks for");
    }
  }

  void check_unique(const json::array& array, const std::string& at) {
    std::set<std::string> seen;
    for (std::size_t i = 0; i < array.size(); ++i) {
      if (!seen.insert(canonical_text(array[i])).second) {
        return add(core::pointer_to(at, std::to_string(i)), "repeats an earlier item");
      }
    }
  }

  void check_object(const SchemaNode& node, const json::object& object, const std::string& at) {
    if (node.min_properties && object.size() < *node.min_properties) {
      add(at, fmt::format("must have at least {} properties", *node.min_properties));
    }
    if (node.max_properties && object.size() > *node.max_properties) {
      add(at, fmt::format("must have at most {} properties", *node.max_properties));
    }
    for (const auto& name : node.required) {
      if (!object.contains(name)) add(core::pointer_to(at, name), "is required");
    }
    for (const auto& [name, value] : object) {
      const auto below = core::pointer_to(at, name);
      if (node.property_names != nullptr) check(*node.property_names, json::value(name), below);
      check_property(node, name, value, below);
    }
  }

  void check_property(const SchemaNode& node, std::string_view name, const json::value& value, const std::string& at) {
    bool known = false;
    for (const auto& [property, schema] : node.properties) {
      if (property != name) continue;
      known = true;
      check(*schema, value, at);
    }
    for (const auto& [pattern, schema] : node.pattern_properties) {
      const auto result = pattern.search(name);
      if (result == PatternResult::kTooComplex) add(at, "has a name too long for the pattern " + pattern.expression());
      if (result != PatternResult::kMatch) continue;
      known = true;
      check(*schema, value, at);
    }
    if (known || node.additional_properties == nullptr) return;
    if (node.additional_properties->boolean == false) return add(at, "is not a known property");
    check(*node.additional_properties, value, at);
  }

  bool matches(const SchemaNode& node, const json::value& value) {
    Violations ignored;
    Validator inner(ignored);
    inner.depth_ = depth_;
    inner.check(node, value, "");
    return ignored.empty();
  }

  void check_composition(const SchemaNode& node, const json::value& value, const std::string& at) {
    for (const auto* schema : node.all_of) check(*schema, value, at);
    if (!node.any_of.empty()) {
      bool any = false;
      for (const auto* schema : node.any_of) any = any || matches(*schema, value);
      if (!any) add(at, fmt::format("matches none of the {} allowed forms", node.any_of.size()));
    }
    if (!node.one_of.empty()) {
      std::size_t count = 0;
      for (const auto* schema : node.one_of) count += matches(*schema, value) ? 1 : 0;
      if (count != 1) add(at, fmt::format("must match exactly one of {} forms, not {}", node.one_of.size(), count));
    }
    if (node.negated != nullptr && matches(*node.negated, value)) add(at, "has a form that is not allowed");
    if (node.condition != nullptr) {
      const SchemaNode* branch = matches(*node.condition, value) ? node.then_schema : node.else_schema;
      if (branch != nullptr) check(*branch, value, at);
    }
  }

  Violations& found_;
  int depth_ = 0;
};

}  // namespace

Violations JsonSchema::validate(const json::value& value, const std::string& pointer) const {
  Violations found;
  Validator(found).check(*document_->root, value, pointer);
  return found;
}

void JsonSchema::require_valid(const json::value& value, const std::string& pointer) const {
  const auto found = validate(value, pointer);
  if (found.empty()) return;
  core::Error error(core::Code::kInvalidArgument, found.size() == 1
                                                      ? "'" + found[0].pointer + "' " + found[0].message
                                                      : fmt::format("{} fields do not match the schema", found.size()));
  for (const auto& violation : found) error.with_field(violation.pointer, violation.message);
  throw error;
}

}  // namespace backstay::model
