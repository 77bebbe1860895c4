// Structured logs: one JSON line an event on standard error.
//
// An event has a stable name ("backup.stored"), a sentence, and fields. Ids are always attached, secrets never.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace backstay::core {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

/// A key and its value, already text.
using LogField = std::pair<std::string_view, std::string>;

/// Sets the lowest level that is written; call it before threads start. The default is kInfo.
void set_log_level(LogLevel level);
/// "debug", "info", "warning" or "error"; throws Error(config_error) for anything else.
LogLevel parse_log_level(std::string_view text);

/// Writes one line. Safe for any thread; never throws.
void log(LogLevel level, std::string_view event, std::string_view message, std::initializer_list<LogField> fields = {});

inline void log_debug(std::string_view event, std::string_view message, std::initializer_list<LogField> fields = {}) {
  log(LogLevel::kDebug, event, message, fields);
}
inline void log_info(std::string_view event, std::string_view message, std::initializer_list<LogField> fields = {}) {
  log(LogLevel::kInfo, event, message, fields);
}
inline void log_warning(std::string_view event, std::string_view message, std::initializer_list<LogField> fields = {}) {
  log(LogLevel::kWarning, event, message, fields);
}
inline void log_error(std::string_view event, std::string_view message, std::initializer_list<LogField> fields = {}) {
  log(LogLevel::kError, event, message, fields);
}

}  // namespace backstay::core
