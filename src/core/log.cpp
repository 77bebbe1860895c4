#include "core/log.h"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "core/error.h"
#include "core/json.h"
#include "core/time.h"

namespace backstay::core {
namespace {

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return spdlog::level::debug;
    case LogLevel::kInfo: return spdlog::level::info;
    case LogLevel::kWarning: return spdlog::level::warn;
    case LogLevel::kError: return spdlog::level::err;
  }
  return spdlog::level::err;
}

spdlog::logger& logger() {
  static const auto instance = [] {
    auto made = std::make_shared<spdlog::logger>("backstay", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%v");
    made->set_level(spdlog::level::info);
    made->flush_on(spdlog::level::trace);
    return made;
  }();
  return *instance;
}

}  // namespace

void set_log_level(LogLevel level) { logger().set_level(to_spdlog(level)); }

LogLevel parse_log_level(std::string_view text) {
  if (text == "debug") return LogLevel::kDebug;
  if (text == "info") return LogLevel::kInfo;
  if (text == "warning") return LogLevel::kWarning;
  if (text == "error") return LogLevel::kError;
  throw Error(Code::kConfigError, fmt::format("'{}' is not a log level: use debug, info, warning or error", text));
}

void log(LogLevel level, std::string_view event, std::string_view message, std::initializer_list<LogField> fields) try {
  const auto spd_level = to_spdlog(level);
  if (!logger().should_log(spd_level)) return;
  SystemClock clock;
  const std::string_view name = spd_level == spdlog::level::err    ? "error"
                                : spd_level == spdlog::level::warn ? "warning"
                                : spd_level == spdlog::level::info ? "info"
                                                                   : "debug";
  json::object line{{"time", format_time(clock.now())}, {"level", name}, {"event", event}, {"message", message}};
  for (const auto& [key, value] : fields) line[key] = value;
  logger().log(spd_level, to_text(line));
} catch (...) {
  // A log line that cannot be written must not end the work it speaks of.
  return;
}

}  // namespace backstay::core
