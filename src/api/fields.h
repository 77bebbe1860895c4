// Strictly typed reading of a request's body that finds everything wrong with it at once.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/json.h"
#include "core/time.h"
#include "model/secrets.h"

namespace backstay::api {

/// One object of a body. What is wrong is added to `refused` with its JSON Pointer; the getter then answers as if the
/// field were absent, and require_none_refused() throws afterwards.
/// null counts as absent. Object and list of refused fields outlive this.
class Fields {
 public:
  Fields(const core::json::object& object, std::string pointer, std::vector<core::FieldError>& refused)
      : object_(object), pointer_(std::move(pointer)), refused_(refused) {}

  std::optional<std::string> text(std::string_view key);
  std::optional<std::int64_t> integer(std::string_view key);
  std::optional<bool> flag(std::string_view key);
  std::optional<core::Timestamp> time(std::string_view key);
  /// A copy of the object at `key`.
  std::optional<core::json::object> object(std::string_view key);
  /// An object whose values are all strings.
  std::optional<model::Secrets> secrets(std::string_view key);
  std::optional<std::vector<std::string>> texts(std::string_view key);
  std::optional<std::vector<std::int64_t>> integers(std::string_view key);

  void refuse(std::string_view key, std::string message);

  [[nodiscard]] std::string pointer_of(std::string_view key) const { return core::pointer_to(pointer_, key); }

 private:
  template <typename Read>
  auto read(Read read_field) -> decltype(read_field());

  const core::json::object& object_;
  std::string pointer_;
  std::vector<core::FieldError>& refused_;
};

}  // namespace backstay::api
