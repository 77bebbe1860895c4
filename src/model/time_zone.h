// Time zones of the IANA database, as this machine has it.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "core/time.h"

namespace backstay::model {

class TimeZone {
 public:
  /// A stretch of time, up to but without `end`, in which local clocks are `offset` ahead of UTC.
  struct Span {
    core::Timestamp begin{};
    core::Timestamp end{};
    std::chrono::seconds offset{};
  };

  /// Throws Error(invalid_argument) for a name that is not in the database: "Europe/Berlin", "UTC".
  static TimeZone find(const std::string& name);

  [[nodiscard]] Span span_at(core::Timestamp time) const;

 private:
  explicit TimeZone(const void* zone) : zone_(zone) {}
  /// Of the database, which stays as long as the program runs.
  const void* zone_;
};

}  // namespace backstay::model
