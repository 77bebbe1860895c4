// A terminal that remembers what was written and answers from a list.
#pragma once

#include <deque>
#include <string>

#include "cli/terminal.h"
#include "core/error.h"

namespace backstay::cli::testing {

class ScriptedTerminal final : public Terminal {
 public:
  std::string output;
  std::string errors;
  std::string input;
  /// The person's answers, in order; with none there is nobody to ask.
  std::deque<std::string> answers;
  bool person_watches = false;

  void out(std::string_view text) override { output += text; }
  void err(std::string_view text) override { errors += text; }
  [[nodiscard]] bool shows_progress() const override { return person_watches; }
  [[nodiscard]] bool interactive() const override { return !answers.empty(); }
  [[nodiscard]] unsigned width() const override { return 80; }
  std::string ask(std::string_view question) override {
    errors += question;
    if (answers.empty()) throw core::Error(core::Code::kInternal, "a question nobody expected");
    std::string answer = answers.front();
    answers.pop_front();
    return answer;
  }
  core::Secret ask_secret(std::string_view question) override { return core::Secret(ask(question)); }
  core::Secret read_input() override { return core::Secret(input); }
};

}  // namespace backstay::cli::testing
