// What dialects have in common when they read requests and pass on refusals.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/fields.h"
#include "core/error.h"
#include "core/json.h"
#include "http/types.h"

namespace backstay::api {

/// A body whose types were checked; an empty one counts as {}.
class Body {
 public:
  explicit Body(const http::Request& request);
  Body(const Body&) = delete;
  Body& operator=(const Body&) = delete;

  Fields* operator->() { return &fields_; }
  /// An empty text counts as absent.
  std::optional<std::string> word(std::string_view key);
  [[nodiscard]] bool has(std::string_view key) const { return object_.contains(key); }
  [[nodiscard]] bool is_null(std::string_view key) const;
  /// Throws what is wrong.
  void finish() const;

 private:
  core::json::object object_;
  std::vector<core::FieldError> refused_;
  Fields fields_;
};

/// The house's pointers and what the platform calls the same fields; empty for what its clients cannot name.
using FieldNames = std::map<std::string, std::string, std::less<>>;
/// The error with the names that the platform has for its fields.
core::Error renamed(const core::Error& error, const FieldNames& names);

/// Runs `work`; a refusal that names fields of the house names those of the platform.
template <typename Work>
auto in_own_words(const FieldNames& names, Work work) -> decltype(work()) {
  try {
    return work();
  } catch (const core::Error& error) {
    if (error.fields().empty()) throw;
    throw renamed(error, names);
  }
}

}  // namespace backstay::api
