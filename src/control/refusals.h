// Collects what is wrong with a request, so that one answer names every bad field.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "core/error.h"

namespace backstay::control {

class Refusals {
 public:
  /// Runs a check and keeps the fields that it refuses. Errors of another kind rise at once.
  template <typename Check>
  void check(Check&& judge) {
    try {
      judge();
    } catch (const core::Error& error) {
      if (error.code() != core::Code::kInvalidArgument) throw;
      if (error.fields().empty()) {
        note(error.message());
      } else {
        const std::size_t before = fields_.size();
        for (const auto& field : error.fields()) {
          if (!is_refused(field.pointer, before)) fields_.push_back(field);
        }
        if (fields_.size() > before) note(error.message());
      }
    }
  }
  void add(std::string pointer, std::string message) {
    note(message);
    fields_.push_back({std::move(pointer), std::move(message)});
  }
  [[nodiscard]] bool empty() const { return count_ == 0; }
  /// Throws Error(invalid_argument) with all that was refused, if anything was.
  void raise() const {
    if (count_ == 0) return;
    core::Error error(core::Code::kInvalidArgument,
                      count_ == 1 ? message_ : fmt::format("{} (and {} more)", message_, count_ - 1));
    for (const auto& field : fields_) error.with_field(field.pointer, field.message);
    throw error;
  }

 private:
  void note(const std::string& message) {
    if (message_.empty()) message_ = message;
    ++count_;
  }
  /// Among the first `count`: what one check has found, another one finds in other words.
  [[nodiscard]] bool is_refused(const std::string& pointer, std::size_t count) const {
    return std::any_of(fields_.begin(), fields_.begin() + static_cast<std::ptrdiff_t>(count),
                       [&](const core::FieldError& field) { return field.pointer == pointer; });
  }

  std::string message_;
  std::vector<core::FieldError> fields_;
  int count_ = 0;
};

}  // namespace backstay::control
