#include "cli/key_values.h"

#include <utility>

#include <fmt/format.h>

#include "core/error.h"
#include "core/text.h"

namespace backstay::cli {
namespace {

using core::Code;
using core::Error;

std::pair<std::string, std::string> split_at_equals(const std::string& text) {
  const auto at = text.find('=');
  if (at == std::string::npos || at == 0) {
    throw Error(Code::kConfigError, fmt::format("'{}' is not of the form key=value", text)).with_hint("");
  }
  return {text.substr(0, at), text.substr(at + 1)};
}

core::json::value parse_argument(const std::string& key, const std::string& text) {
  try {
    return core::parse_json(text);
  } catch (const Error& error) {
    throw Error(Code::kConfigError, fmt::format("'{}:={}': {}", key, text, error.message()))
        .with_hint("key:=VALUE takes JSON; a plain text is key=VALUE");
  }
}

std::string read_secret_file(const std::string& path, os::FileSystem& file_system, Terminal& terminal) {
  std::string text =
      path == "-" ? terminal.read_input().reveal() : std::string(core::as_text(file_system.read_file(path)));
  if (text.ends_with('\n')) text.pop_back();
  if (text.ends_with('\r')) text.pop_back();
  return text;
}

}  // namespace

core::json::object parse_key_values(const std::vector<std::string>& texts) {
  core::json::object out;
  for (const auto& text : texts) {
    auto [key, value] = split_at_equals(text);
    if (key.ends_with(':') && key.size() > 1) {
      key.pop_back();
      out[key] = parse_argument(key, value);
    } else {
      out[key] = value;
    }
  }
  return out;
}

core::json::object parse_numbers(const std::vector<std::string>& texts) {
  core::json::object out;
  for (const auto& text : texts) {
    const auto [key, value] = split_at_equals(text);
    const auto number = core::parse_int(value);
    if (!number) {
      throw Error(Code::kConfigError, fmt::format("'{}': '{}' is not a whole number", key, value)).with_hint("");
    }
    out[key] = *number;
  }
  return out;
}

core::json::object read_secrets(const std::vector<std::string>& files, const std::vector<std::string>& questions,
                                os::FileSystem& file_system, Terminal& terminal) {
  core::json::object out;
  for (const auto& text : files) {
    const auto [key, path] = split_at_equals(text);
    out[key] = read_secret_file(path, file_system, terminal);
  }
  for (const auto& key : questions) {
    if (!terminal.interactive()) {
      throw Error(Code::kConfigError, fmt::format("nobody is there to type the secret '{}'", key))
          .with_hint(fmt::format("give it in a file: {}=FILE", key));
    }
    out[key] = terminal.ask_secret(fmt::format("{}: ", key)).reveal();
  }
  return out;
}

}  // namespace backstay::cli
