#include "app/serve.h"

#include <csignal>
#include <cstdlib>
#include <memory>

#include <unistd.h>
#include <CLI/CLI.hpp>

#include "app/server_assembly.h"
#include "app/stop_signals.h"
#include "core/log.h"
#include "os/file_system.h"

namespace backstay::app {
namespace {

struct ServeOptions {
  std::string config_file;
  std::string state_dir;
  std::string listen;
};

std::optional<std::string> process_environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

EnvironmentNames process_environment_names() {
  EnvironmentNames names;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    names.emplace_back(text.substr(0, text.find('=')));
  }
  return names;
}

Configuration configuration_of(const ServeOptions& options) {
  Configuration configuration;
  if (!options.config_file.empty()) {
    const core::Bytes content = os::RealFileSystem().read_file(options.config_file);
    read_file_settings(configuration, core::as_text(content), options.config_file);
  }
  read_environment_settings(configuration, process_environment, process_environment_names());
  if (!options.state_dir.empty()) configuration.server_state_dir = options.state_dir;
  if (!options.listen.empty()) configuration.server_listen = options.listen;
  complete(configuration);
  return configuration;
}

}  // namespace

void add_serve_command(CLI::App& program) {
  CLI::App* command = program.add_subcommand("serve", "Run the server: API, reconciler, workers, companions.");
  const auto options = std::make_shared<ServeOptions>();  // shared with the callback, which the command owns
  command->add_option("--config", options->config_file, "TOML file with settings");
  command->add_option("--state-dir", options->state_dir, "where the state and the services live");
  command->add_option("--listen", options->listen, "address and port of the API; port 0 takes a free one");
  command->callback([options] { serve(configuration_of(*options), process_environment); });
}

void serve(const Configuration& configuration, const Environment& environment) {
  core::set_log_level(core::parse_log_level(configuration.server_log_level));
  std::signal(SIGPIPE, SIG_IGN);
  StopSignals signals;
  ServerAssembly server(configuration, environment);
  server.start();
  const int signal = signals.wait();
  core::log_info("server.stopping", "a signal asks to stop; services keep running", {{"signal", strsignal(signal)}});
  server.stop();
  core::log_info("server.stopped", "the server has stopped");
}

}  // namespace backstay::app
