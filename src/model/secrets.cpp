#include "model/secrets.h"

#include "core/error.h"

namespace backstay::model {

core::json::object reveal_all(const Secrets& secrets) {
  core::json::object object;
  for (const auto& [name, secret] : secrets) object[name] = secret.reveal();
  return object;
}

Secrets secrets_from_json(const core::json::object& object, std::string_view pointer) {
  Secrets secrets;
  for (const auto& [name, value] : object) {
    if (!value.is_string()) {
      throw core::Error(core::Code::kInvalidArgument, "secret '" + std::string(name) + "' is not a string")
          .with_field(core::pointer_to(pointer, name), "must be a string");
    }
    secrets.insert_or_assign(std::string(name), core::Secret(std::string(value.as_string())));
  }
  return secrets;
}

}  // namespace backstay::model
