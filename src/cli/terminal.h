// Standard input and output as the commands see them, so that tests can read what a person would.
#pragma once

#include <string>
#include <string_view>

#include "core/secret.h"

namespace backstay::cli {

class Terminal {
 public:
  virtual ~Terminal() = default;
  virtual void out(std::string_view text) = 0;
  virtual void err(std::string_view text) = 0;
  /// True if a person sees what err() writes: only then progress is drawn.
  [[nodiscard]] virtual bool shows_progress() const = 0;
  /// True if a person can answer a question.
  [[nodiscard]] virtual bool interactive() const = 0;
  /// The width in columns.
  [[nodiscard]] virtual unsigned width() const = 0;
  /// Asks and reads one line. Only when interactive.
  virtual std::string ask(std::string_view question) = 0;
  /// The same without showing what is typed.
  virtual core::Secret ask_secret(std::string_view question) = 0;
  /// Everything from standard input up to its end.
  virtual core::Secret read_input() = 0;
};

/// The process's own streams.
class SystemTerminal final : public Terminal {
 public:
  void out(std::string_view text) override;
  void err(std::string_view text) override;
  [[nodiscard]] bool shows_progress() const override;
  [[nodiscard]] bool interactive() const override;
  [[nodiscard]] unsigned width() const override;
  std::string ask(std::string_view question) override;
  core::Secret ask_secret(std::string_view question) override;
  core::Secret read_input() override;
};

}  // namespace backstay::cli
