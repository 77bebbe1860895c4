// What every command of the client is given, and what they have in common: options, output, the way out.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "cli/cell.h"
#include "cli/house_client.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "core/time.h"
#include "http/client.h"
#include "os/file_system.h"

namespace CLI {
class App;
}

namespace backstay::cli {

using MakeTransport = std::function<std::unique_ptr<http::Transport>(const Connection&)>;

/// The world outside. All outlive the commands.
struct CommandDependencies {
  MakeTransport make_transport;
  os::FileSystem& files;
  core::Clock& clock;
  Terminal& terminal;
  Environment environment;
};

class CommandContext {
 public:
  explicit CommandContext(CommandDependencies dependencies) : deps_(std::move(dependencies)) {}

  /// Adds --server, --token-file, --state-dir, --ca-file and --output, and makes `run` the command's callback: an
  /// Error becomes a message on standard error and an exit code.
  void add_command(CLI::App& command, std::function<void()> run);
  /// The same without --output, for a command that writes what is neither table nor JSON.
  void add_plain_command(CLI::App& command, std::function<void()> run);

  /// The server; connected to lazily, once.
  HouseClient& client();
  [[nodiscard]] Terminal& terminal() const { return deps_.terminal; }
  [[nodiscard]] os::FileSystem& files() const { return deps_.files; }
  [[nodiscard]] core::Clock& clock() const { return deps_.clock; }
  [[nodiscard]] bool json_output() const { return output_ == "json"; }

  /// Prints the answer as JSON if that was asked for, else what `for_people` makes of it.
  void print(const core::json::value& answer, const std::function<std::string(const core::json::value&)>& for_people);

 private:
  CommandDependencies deps_;
  ConnectionOptions options_;
  std::string output_ = "table";
  std::unique_ptr<http::Transport> transport_;
  std::unique_ptr<HouseClient> client_;
};

/// The error as a person reads it: message, refused fields, hint.
std::string render_error(const core::Error& error);

}  // namespace backstay::cli
