#include "cli/terminal.h"

#include <array>
#include <cstdio>
#include <iostream>

#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "core/error.h"

namespace backstay::cli {
namespace {

void write_all(std::FILE* stream, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stream);
  std::fflush(stream);
}

std::string read_line() {
  std::string line;
  if (!std::getline(std::cin, line)) {
    throw core::Error(core::Code::kConfigError, "standard input ended before the question was answered");
  }
  return line;
}

/// Typed characters stay invisible while it lives.
class HiddenInput {
 public:
  HiddenInput() {
    if (tcgetattr(STDIN_FILENO, &before_) != 0) return;
    termios hidden = before_;
    hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    changed_ = tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden) == 0;
  }
  ~HiddenInput() {
    if (changed_) tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
  }
  HiddenInput(const HiddenInput&) = delete;
  HiddenInput& operator=(const HiddenInput&) = delete;

 private:
  termios before_{};
  bool changed_ = false;
};

}  // namespace

void SystemTerminal::out(std::string_view text) { write_all(stdout, text); }
void SystemTerminal::err(std::string_view text) { write_all(stderr, text); }
bool SystemTerminal::shows_progress() const { return isatty(STDERR_FILENO) == 1; }
bool SystemTerminal::interactive() const { return isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1; }

unsigned SystemTerminal::width() const {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

std::string SystemTerminal::ask(std::string_view question) {
  err(question);
  return read_line();
}

core::Secret SystemTerminal::ask_secret(std::string_view question) {
  err(question);
  const HiddenInput hidden;
  core::Secret answer(read_line());
  err("\n");
  return answer;
}

core::Secret SystemTerminal::read_input() {
  std::string text;
  std::array<char, 4096> buffer{};
  while (const std::size_t got = std::fread(buffer.data(), 1, buffer.size(), stdin)) text.append(buffer.data(), got);
  return core::Secret(std::move(text));
}

}  // namespace backstay::cli
