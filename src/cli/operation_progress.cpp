#include "cli/operation_progress.h"

#include <algorithm>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "core/error.h"

namespace backstay::cli {
namespace {

using core::Code;
using core::Error;

constexpr std::chrono::milliseconds kPollInterval{500};
constexpr std::size_t kBarWidth = 24;

double number(const core::json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  boost::system::error_code error;
  const double result = value == nullptr ? 0.0 : value->to_number<double>(error);
  return error ? 0.0 : result;
}

std::string bar(double share) {
  const auto full = static_cast<std::size_t>(share * static_cast<double>(kBarWidth));
  return "[" + std::string(full, '#') + std::string(kBarWidth - full, '.') + "]";
}

Error error_of_operation(const core::json::value& operation) {
  const std::string kind = cell(operation, "kind");
  if (cell(operation, "state") == "cancelled") return {Code::kCancelled, fmt::format("{} was cancelled", kind)};
  const auto* error = core::find_object(core::as_object(operation), "error");
  if (error == nullptr) return {Code::kInternal, fmt::format("{} failed without a reason", kind)};
  Error out(core::code_from_name(core::find_string(*error, "code").value_or("")),
            core::find_string(*error, "message").value_or("no message"));
  if (const auto hint = core::find_string(*error, "nextStep")) {
    out.with_hint(*hint);
  } else if (const auto advice = core::find_string(*error, "hint")) {
    out.with_hint(*advice);
  }
  return out.add_context(fmt::format("{} failed", kind));
}

}  // namespace

void add_wait_options(CLI::App& command, WaitOptions& options) {
  command.add_flag("--wait", options.wait, "wait until the work has ended");
  command.add_option("--timeout", options.timeout_s, "wait at most so many seconds")->check(CLI::PositiveNumber);
}

std::string render_progress(const core::json::value& operation, unsigned width) {
  std::string line;
  const auto* progress = operation.is_object() ? core::find_object(operation.get_object(), "progress") : nullptr;
  const double total = progress == nullptr ? 0 : number(*progress, "total");
  if (total > 0) {
    const double done = std::clamp(number(*progress, "done"), 0.0, total);
    line = fmt::format("{} {:3.0f}%  ", bar(done / total), 100 * done / total);
  }
  const std::string phase = progress == nullptr ? "" : core::find_string(*progress, "phase").value_or("");
  const std::string step = phase.empty() ? cell(operation, "step") : phase;
  line += fmt::format("{}: {}", cell(operation, "kind"), step.empty() ? cell(operation, "state") : step);
  if (line.size() > width) line.resize(width);
  return line;
}

core::json::value poll_until(CommandContext& context, const std::string& path, const std::string& what,
                             std::chrono::seconds at_most, const std::function<bool(const core::json::value&)>& done) {
  const core::SteadyTime deadline = context.clock().steady_now() + at_most;
  while (true) {
    core::json::value answer = context.client().get(path);
    if (done(answer)) return answer;
    if (context.clock().steady_now() >= deadline) {
      throw Error(Code::kTimeout, fmt::format("{} has not ended after {} s", what, at_most.count()))
          .with_hint("the server goes on with it; look again later");
    }
    context.clock().wait({}, kPollInterval);
  }
}

namespace {

/// What was last heard of an operation.
struct Heard {
  core::json::value operation;
  std::string event_id;
};

bool has_ended(const core::json::value& operation) {
  if (!operation.is_object()) return false;
  const std::string state = cell(operation, "state");
  return state == "succeeded" || state == "failed" || state == "cancelled";
}

/// One stream from where the one before broke to where this one does; false if it brought nothing new.
bool listen(CommandContext& context, const std::string& path, std::chrono::milliseconds at_most, Heard& heard,
            const std::function<void()>& on_change) {
  bool news = false;
  const auto take = [&](const StreamEvent& event) {
    auto operation = core::parse_json(event.data);
    heard.event_id = event.id;
    if (event.name != "operation" || operation == heard.operation) return;
    heard.operation = std::move(operation);
    news = true;
    on_change();
  };
  try {
    context.client().follow(path, heard.event_id, at_most, take);
  } catch (const Error&) {
    // A stream may break at any time. Whether the server is still there shows the next one, or the question after it.
    return news;
  }
  return news;
}

}  // namespace

core::json::value follow_operation(CommandContext& context, const std::string& id, std::chrono::seconds at_most) {
  Terminal& terminal = context.terminal();
  const std::string path = "/api/operations/" + id;
  const core::SteadyTime deadline = context.clock().steady_now() + at_most;
  Heard heard;
  const auto draw = [&] {
    if (terminal.shows_progress()) terminal.err("\r\x1b[K" + render_progress(heard.operation, terminal.width() - 1));
  };
  while (!has_ended(heard.operation)) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - context.clock().steady_now());
    if (left <= left.zero()) {
      throw Error(Code::kTimeout, fmt::format("operation {} has not ended after {} s", id, at_most.count()))
          .with_hint("the server goes on with it; look again later");
    }
    if (listen(context, path + "/events", left, heard, draw)) continue;
    heard.operation = context.client().get(path);
    draw();
    if (!has_ended(heard.operation)) context.clock().wait({}, std::min(left, kPollInterval));
  }
  if (terminal.shows_progress()) terminal.err("\r\x1b[K");
  if (cell(heard.operation, "state") != "succeeded") throw error_of_operation(heard.operation);
  return heard.operation;
}

}  // namespace backstay::cli
