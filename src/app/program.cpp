#include "app/program.h"

#include <exception>
#include <string>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "app/serve.h"
#include "cli/house_commands.h"
#include "cli/pg_commands.h"
#include "cli/repository_commands.h"
#include "core/error.h"

namespace backstay::app {
namespace {

constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;

int report(const core::Error& error) {
  fmt::print(stderr, "error: {}\n", error.what());
  for (const core::FieldError& field : error.fields()) fmt::print(stderr, "  {}: {}\n", field.pointer, field.message);
  if (!error.hint().empty()) fmt::print(stderr, "hint: {}\n", error.hint());
  return error.code() == core::Code::kConfigError ? kWrongUsage : kFailed;
}

}  // namespace

int run_program(int argc, const char* const* argv) {
  CLI::App program("Backstay runs PostgreSQL services, backs them up and takes them back to any second.", "backstay");
  program.set_version_flag("--version", "backstay " BACKSTAY_VERSION);
  program.require_subcommand(1);
  add_serve_command(program);
  cli::add_pg_commands(program);
  cli::add_repository_commands(program);
  cli::add_house_commands(program);
  try {
    program.parse(argc, argv);
    return 0;
  } catch (const CLI::RuntimeError& chosen) {
    return chosen.get_exit_code();
  } catch (const CLI::ParseError& error) {
    return program.exit(error) == 0 ? 0 : kWrongUsage;
  } catch (...) {
    return report(core::as_error(std::current_exception()));
  }
}

}  // namespace backstay::app
