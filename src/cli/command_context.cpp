#include "cli/command_context.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/exit_code.h"

namespace backstay::cli {

std::string render_error(const core::Error& error) {
  std::string out = fmt::format("error: {}\n", error.what());
  for (const auto& field : error.fields()) {
    out += fmt::format("  {}: {}\n", field.pointer.empty() ? "the body" : field.pointer, field.message);
  }
  if (!error.hint().empty()) out += fmt::format("hint: {}\n", error.hint());
  return out;
}

void CommandContext::add_command(CLI::App& command, std::function<void()> run) {
  add_plain_command(command, std::move(run));
  command.add_option("-o,--output", output_, "table or json")->check(CLI::IsMember({"table", "json"}));
}

void CommandContext::add_plain_command(CLI::App& command, std::function<void()> run) {
  command.add_option("--server", options_.server,
                     "address of the server, e.g. http://127.0.0.1:8080 (or BACKSTAY_URL)");
  command.add_option("--token-file", options_.token_file, "file that holds the token (or BACKSTAY_TOKEN)");
  command.add_option("--state-dir", options_.state_dir, "the server's state directory, on its own machine");
  command.add_option("--ca-file", options_.ca_file, "PEM file of the authority that signed the server's certificate");
  command.callback([this, run = std::move(run)] {
    try {
      run();
    } catch (const core::Error& error) {
      deps_.terminal.err(render_error(error));
      throw CLI::RuntimeError(static_cast<int>(exit_code_of(error)));
    }
  });
}

HouseClient& CommandContext::client() {
  if (!client_) {
    Connection connection = resolve_connection(options_, deps_.environment, deps_.files);
    transport_ = deps_.make_transport(connection);
    client_ = std::make_unique<HouseClient>(std::move(connection), *transport_);
  }
  return *client_;
}

void CommandContext::print(const core::json::value& answer,
                           const std::function<std::string(const core::json::value&)>& for_people) {
  deps_.terminal.out(json_output() ? core::to_pretty_text(answer) + "\n" : for_people(answer));
}

}  // namespace backstay::cli
