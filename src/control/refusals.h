// Collects what is wrong with a request, so that one answer names every bad field.
#pragma once

#include <string>
#include <utility>
#include <vector>

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
      if (message_.empty()) message_ = error.message();
      fields_.insert(fields_.end(), error.fields().begin(), error.fields().end());
      ++count_;
    }
  }
  void add(std::string pointer, std::string message) {
    if (message_.empty()) message_ = message;
    fields_.push_back({std::move(pointer), std::move(message)});
    ++count_;
  }
  /// Throws Error(invalid_argument) with all that was refused, if anything was.
  void raise() const {
    if (count_ == 0) return;
    core::Error error(core::Code::kInvalidArgument,
                      count_ == 1 ? message_ : fmt::format("{} (and {} more)", message_, count_ - 1));
    for (const auto& field : fields_) error.with_field(field.pointer, field.message);
    throw error;
  }

 private:
  std::string message_;
  std::vector<core::FieldError> fields_;
  int count_ = 0;
};

}  // namespace backstay::control
