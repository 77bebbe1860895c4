#include "cli/offline_command.h"

#include <csignal>
#include <memory>
#include <thread>

#include <unistd.h>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/exit_code.h"
#include "core/error.h"
#include "core/log.h"
#include "core/text.h"

namespace backstay::cli {
namespace {

/// SIGINT and SIGTERM as a stop token; must be made before other threads.
class SignalStop {
 public:
  SignalStop() {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGINT);
    sigaddset(&signals_, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals_, &before_);
    thread_ = std::jthread([this](const std::stop_token& ended) {
      const timespec turn{.tv_sec = 0, .tv_nsec = 200'000'000};
      while (!ended.stop_requested()) {
        if (sigtimedwait(&signals_, nullptr, &turn) > 0 && !ended.stop_requested()) stop_.request_stop();
      }
    });
  }
  ~SignalStop() {
    thread_.request_stop();
    pthread_kill(thread_.native_handle(), SIGINT);  // or the command would end up to a turn later
    thread_.join();
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  SignalStop(const SignalStop&) = delete;
  SignalStop& operator=(const SignalStop&) = delete;
  [[nodiscard]] std::stop_token token() const { return stop_.get_token(); }

 private:
  sigset_t signals_{};
  sigset_t before_{};
  std::stop_source stop_;
  std::jthread thread_;
};

int exit_code(core::Code code) {
  if (code == core::Code::kRecoveryOutOfReach) return kOutOfReach;
  if (code == core::Code::kNotFound) return static_cast<int>(ExitCode::kNotFound);
  return static_cast<int>(code == core::Code::kConfigError ? ExitCode::kUsage : ExitCode::kFailed);
}

bool someone_looks() { return isatty(STDERR_FILENO) == 1; }

}  // namespace

void set_offline_callback(CLI::App& command, std::function<void(std::stop_token)> run) {
  command.callback([run = std::move(run)] {
    core::set_log_level(core::LogLevel::kWarning);
    try {
      const SignalStop signals;
      run(signals.token());
    } catch (const core::Error& e) {
      end_progress();
      fmt::print(stderr, "error: {}\n", e.what());
      if (!e.hint().empty()) fmt::print(stderr, "hint: {}\n", e.hint());
      throw CLI::RuntimeError(exit_code(e.code()));
    }
  });
}

backup::ProgressCallback draw_progress() {
  if (!someone_looks()) return nullptr;
  return [](const backup::Progress& progress) {
    const std::string amount =
        progress.total > 0
            ? fmt::format("{:3.0f} %  {} of {}",
                          100.0 * static_cast<double>(progress.done) / static_cast<double>(progress.total),
                          core::format_bytes(progress.done), core::format_bytes(progress.total))
            : (progress.done > 0 ? core::format_bytes(progress.done) : std::string());
    fmt::print(stderr, "\r\x1b[K{:<10} {}", progress.phase, amount);
    std::fflush(stderr);
  };
}

void end_progress() {
  if (someone_looks()) fmt::print(stderr, "\r\x1b[K");
}

void add_output_option(CLI::App& command, std::string& output) {
  command.add_option("-o,--output", output, "table or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->default_str("table");
}

void print_result(const std::string& output, const core::json::value& value, const std::string& text) {
  fmt::print("{}", output == "json" ? core::to_pretty_text(value) + "\n" : text);
}

}  // namespace backstay::cli
