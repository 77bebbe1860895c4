// A schema that a tenant's backend declares, on the first line, and a value to hold against it.
#include "model/json_schema.h"

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace backstay;  // NOLINT(google-build-using-namespace)
  using core::Code;
  fuzz::Input input(data, size);
  core::json::value schema;
  core::json::value value;
  const auto first = input.line();
  const bool parsed = fuzz::parses({Code::kMalformedJson}, [&] {
    schema = core::parse_json(first);
    value = core::parse_json(input.text());
  });
  if (!parsed) return 0;
  fuzz::parses({Code::kInvalidArgument}, [&] {
    const auto compiled = model::JsonSchema::compile(schema);
    const auto violations = compiled.validate(value);
    fuzz::require(violations.empty() == fuzz::parses({Code::kInvalidArgument}, [&] { compiled.require_valid(value); }),
                  "both ways of asking agree");
    if (!schema.is_object() || !value.is_object()) return;
    const auto filled = model::with_defaults(schema.as_object(), value.as_object());
    (void)model::check_update_constraints(schema.as_object(), value.as_object(), filled, "");
  });
  return 0;
}
