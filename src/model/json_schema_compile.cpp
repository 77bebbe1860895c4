#include <algorithm>
#include <limits>
#include <map>

#include "core/text.h"
#include "model/json_compare.h"
#include "model/json_format.h"
#include "model/json_schema.h"
#include "model/json_schema_node.h"

namespace backstay::model {
namespace {

namespace json = core::json;

constexpr std::string_view kRootReference = "#";

[[noreturn]] void refuse(const std::string& pointer, const std::string& message) {
  throw core::Error(core::Code::kInvalidArgument, "the schema is not supported at '" + pointer + "': " + message)
      .with_field(pointer, message);
}

long double number_of(const json::value& value, const std::string& pointer) {
  if (!is_number(value)) refuse(pointer, "must be a number");
  return as_number(value);
}

std::uint64_t count_of(const json::value& value, const std::string& pointer) {
  if (!is_number(value) || !is_integer(value) || as_number(value) < 0)
    refuse(pointer, "must be a whole number from 0 on");
  // More than anything has is as much as can be counted.
  constexpr auto kMost = std::numeric_limits<std::uint64_t>::max();
  const long double count = as_number(value);
  return count >= static_cast<long double>(kMost) ? kMost : static_cast<std::uint64_t>(count);
}

bool flag_of(const json::value& value, const std::string& pointer) {
  if (!value.is_bool()) refuse(pointer, "must be true or false");
  return value.get_bool();
}

std::string text_of(const json::value& value, const std::string& pointer) {
  if (!value.is_string()) refuse(pointer, "must be a string");
  return std::string(value.get_string());
}

const json::object& object_of(const json::value& value, const std::string& pointer) {
  if (!value.is_object()) refuse(pointer, "must be an object");
  return value.get_object();
}

const json::array& list_of(const json::value& value, const std::string& pointer) {
  if (!value.is_array()) refuse(pointer, "must be an array");
  return value.get_array();
}

Pattern pattern_of(std::string_view expression, const std::string& pointer) {
  try {
    return Pattern(expression);
  } catch (const core::Error& error) {
    refuse(pointer, error.message());
  }
}

unsigned type_bit(const json::value& value, const std::string& pointer) {
  static const std::map<std::string, unsigned, std::less<>> known_types{
      {"null", kNull},     {"boolean", kBoolean}, {"integer", kInteger}, {"number", kNumber | kInteger},
      {"string", kString}, {"array", kArray},     {"object", kObject}};
  const auto found = known_types.find(text_of(value, pointer));
  if (found == known_types.end()) refuse(pointer, "is not a type");
  return found->second;
}

bool is_annotation(std::string_view keyword) {
  static const std::set<std::string, std::less<>> annotations{"title",    "description", "default",    "examples",
                                                              "readOnly", "writeOnly",   "deprecated", "$comment"};
  return keyword.starts_with("x-") || annotations.contains(keyword);
}

/// Compiles one document. Each keyword has one member function.
class Compiler {
 public:
  explicit Compiler(SchemaDocument& document) : document_(document) {}

  void run(const json::value& schema) {
    document_.root = compile(schema, "");
    for (const auto& [node, target] : references_) {
      const auto found = by_reference_.find(target.second);
      if (found == by_reference_.end()) refuse(target.first, "names nothing in '#/definitions' or '#/$defs'");
      node->reference = found->second;
    }
  }

 private:
  using Handler = void (Compiler::*)(SchemaNode&, const json::value&, const std::string&);

  static const std::map<std::string, Handler, std::less<>>& handlers() {
    static const std::map<std::string, Handler, std::less<>> handlers{
        {"$schema", &Compiler::dialect},
        {"$id", &Compiler::identifier},
        {"$ref", &Compiler::reference},
        {"$defs", &Compiler::definitions},
        {"definitions", &Compiler::definitions},
        {"type", &Compiler::type},
        {"enum", &Compiler::enumeration},
        {"const", &Compiler::constant},
        {"format", &Compiler::format},
        {"pattern", &Compiler::pattern},
        {"uniqueItems", &Compiler::unique_items},
        {"multipleOf", &Compiler::multiple_of},
        {"properties", &Compiler::properties},
        {"patternProperties", &Compiler::pattern_properties},
        {"required", &Compiler::required},
        {"minimum", &Compiler::number<&SchemaNode::minimum>},
        {"maximum", &Compiler::number<&SchemaNode::maximum>},
        {"exclusiveMinimum", &Compiler::number<&SchemaNode::exclusive_minimum>},
        {"exclusiveMaximum", &Compiler::number<&SchemaNode::exclusive_maximum>},
        {"minLength", &Compiler::count<&SchemaNode::min_length>},
        {"maxLength", &Compiler::count<&SchemaNode::max_length>},
        {"minItems", &Compiler::count<&SchemaNode::min_items>},
        {"maxItems", &Compiler::count<&SchemaNode::max_items>},
        {"minProperties", &Compiler::count<&SchemaNode::min_properties>},
        {"maxProperties", &Compiler::count<&SchemaNode::max_properties>},
        {"items", &Compiler::subschema<&SchemaNode::items>},
        {"contains", &Compiler::subschema<&SchemaNode::contains>},
        {"additionalProperties", &Compiler::subschema<&SchemaNode::additional_properties>},
        {"propertyNames", &Compiler::subschema<&SchemaNode::property_names>},
        {"not", &Compiler::subschema<&SchemaNode::negated>},
        {"if", &Compiler::subschema<&SchemaNode::condition>},
        {"then", &Compiler::subschema<&SchemaNode::then_schema>},
        {"else", &Compiler::subschema<&SchemaNode::else_schema>},
        {"prefixItems", &Compiler::subschemas<&SchemaNode::prefix_items>},
        {"allOf", &Compiler::subschemas<&SchemaNode::all_of>},
        {"anyOf", &Compiler::subschemas<&SchemaNode::any_of>},
        {"oneOf", &Compiler::subschemas<&SchemaNode::one_of>}};
    return handlers;
  }

  const SchemaNode* compile(const json::value& schema, const std::string& pointer) {
    SchemaNode& node = document_.nodes.emplace_back();
    by_reference_[std::string(kRootReference) + pointer] = &node;
    if (schema.is_bool()) {
      node.boolean = schema.get_bool();
      return &node;
    }
    const auto& object = object_of(schema, pointer);
    for (const auto& [keyword, value] : object) {
      const auto at = core::pointer_to(pointer, keyword);
      if (keyword == "x-update-constraint") check_constraint(value, at);
      if (is_annotation(keyword)) continue;
      const auto handler = handlers().find(std::string_view(keyword));
      if (handler == handlers().end()) refuse(at, "is not a keyword of the supported subset");
      check_beside_reference(object, keyword, at);
      (this->*handler->second)(node, value, at);
    }
    return &node;
  }

  static void check_constraint(const json::value& value, const std::string& at) {
    static const std::set<std::string, std::less<>> known_constraints{"immutable", "increase-only",
                                                                      "minor-upgrade-only"};
    if (!known_constraints.contains(text_of(value, at))) refuse(at, "is not a known constraint");
  }

  /// The drafts differ in what a keyword beside "$ref" means, so there may be none.
  static void check_beside_reference(const json::object& schema, std::string_view keyword, const std::string& at) {
    if (!schema.contains("$ref")) return;
    static const std::set<std::string, std::less<>> allowed{"$ref", "$defs", "definitions", "$schema", "$id"};
    if (!allowed.contains(keyword)) refuse(at, "must not stand beside '$ref'; put both into 'allOf'");
  }

  void dialect(SchemaNode&, const json::value& value, const std::string& at) {
    static const std::set<std::string, std::less<>> dialects{"http://json-schema.org/draft-07/schema",
                                                             "http://json-schema.org/draft-07/schema#",
                                                             "https://json-schema.org/draft/2020-12/schema"};
    if (!dialects.contains(text_of(value, at))) refuse(at, "must be draft-07 or 2020-12");
  }
  void identifier(SchemaNode&, const json::value& value, const std::string& at) {
    text_of(value, at);
    if (at != "/$id") refuse(at, "is supported at the root only");
  }
  void reference(SchemaNode& node, const json::value& value, const std::string& at) {
    const auto target = text_of(value, at);
    if (target != kRootReference && !target.starts_with("#/")) refuse(at, "must be '#' or begin with '#/'");
    // Percent escapes belong to the URI form of a pointer.
    references_.emplace_back(&node, std::pair(at, core::url_decode(target)));
  }
  void definitions(SchemaNode&, const json::value& value, const std::string& at) {
    for (const auto& [name, schema] : object_of(value, at)) compile(schema, core::pointer_to(at, name));
  }
  void type(SchemaNode& node, const json::value& value, const std::string& at) {
    if (!value.is_array()) {
      node.types = type_bit(value, at);
      return;
    }
    for (std::size_t i = 0; i < value.get_array().size(); ++i) {
      node.types |= type_bit(value.get_array()[i], core::pointer_to(at, std::to_string(i)));
    }
    if (node.types == 0) refuse(at, "must name at least one type");
  }
  void enumeration(SchemaNode& node, const json::value& value, const std::string& at) {
    node.enumeration.emplace();
    for (const auto& item : list_of(value, at)) {
      node.enumeration->insert(canonical_text(item));
      node.enumeration_text += (node.enumeration_text.empty() ? "" : ", ") + core::to_text(item);
    }
  }
  void constant(SchemaNode& node, const json::value& value, const std::string&) {
    node.constant = canonical_text(value);
    node.constant_text = core::to_text(value);
  }
  void format(SchemaNode& node, const json::value& value, const std::string& at) {
    node.format = text_of(value, at);
    if (!is_known_format(node.format)) refuse(at, "'" + node.format + "' is not a supported format");
  }
  void pattern(SchemaNode& node, const json::value& value, const std::string& at) {
    node.pattern = pattern_of(text_of(value, at), at);
  }
  void unique_items(SchemaNode& node, const json::value& value, const std::string& at) {
    node.unique_items = flag_of(value, at);
  }
  void multiple_of(SchemaNode& node, const json::value& value, const std::string& at) {
    node.multiple_of = number_of(value, at);
    if (*node.multiple_of <= 0) refuse(at, "must be greater than 0");
  }
  void properties(SchemaNode& node, const json::value& value, const std::string& at) {
    for (const auto& [name, schema] : object_of(value, at)) {
      node.properties.emplace_back(name, compile(schema, core::pointer_to(at, name)));
    }
  }
  void pattern_properties(SchemaNode& node, const json::value& value, const std::string& at) {
    for (const auto& [expression, schema] : object_of(value, at)) {
      const auto below = core::pointer_to(at, expression);
      node.pattern_properties.emplace_back(pattern_of(expression, below), compile(schema, below));
    }
  }
  void required(SchemaNode& node, const json::value& value, const std::string& at) {
    for (const auto& name : list_of(value, at)) node.required.push_back(text_of(name, at));
  }
  template <std::optional<long double> SchemaNode::* kMember>
  void number(SchemaNode& node, const json::value& value, const std::string& at) {
    node.*kMember = number_of(value, at);
  }
  template <std::optional<std::uint64_t> SchemaNode::* kMember>
  void count(SchemaNode& node, const json::value& value, const std::string& at) {
    node.*kMember = count_of(value, at);
  }
  template <const SchemaNode* SchemaNode::* kMember>
  void subschema(SchemaNode& node, const json::value& value, const std::string& at) {
    node.*kMember = compile(value, at);
  }
  template <std::vector<const SchemaNode*> SchemaNode::* kMember>
  void subschemas(SchemaNode& node, const json::value& value, const std::string& at) {
    const auto& list = list_of(value, at);
    if (list.empty()) refuse(at, "must not be empty");
    for (std::size_t i = 0; i < list.size(); ++i) {
      (node.*kMember).push_back(compile(list[i], core::pointer_to(at, std::to_string(i))));
    }
  }

  SchemaDocument& document_;
  std::map<std::string, const SchemaNode*> by_reference_;
  std::vector<std::pair<SchemaNode*, std::pair<std::string, std::string>>> references_;
};

}  // namespace

JsonSchema JsonSchema::compile(const json::value& schema) {
  auto document = std::make_shared<SchemaDocument>();
  Compiler(*document).run(schema);
  return JsonSchema(std::move(document));
}

}  // namespace backstay::model
