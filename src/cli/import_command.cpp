#include "cli/import_command.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/cell.h"
#include "cli/operation_progress.h"
#include "cli/service_commands.h"
#include "core/text.h"
#include "os/mapped_file.h"

namespace backstay::cli {
namespace {

using core::json::value;

struct ImportOptions : WaitOptions {
  std::string service;
  std::string file;
  std::string path;
  std::string destination;
  std::string url;
  std::string backup;
  std::string format;
};

core::json::object body_of(const ImportOptions& options) {
  core::json::object body;
  const auto add = [&](const char* key, const std::string& text) {
    if (!text.empty()) body[key] = text;
  };
  add("path", options.path);
  add("destinationId", options.destination);
  add("url", options.url);
  add("backupId", options.backup);
  add("format", options.format);
  return body;
}

value begin(CommandContext& context, const ImportOptions& options) {
  const auto path = fmt::format("{}/{}/imports", kServices, find_service_id(context, options.service));
  if (options.file.empty()) return context.client().send("POST", path, body_of(options));
  const os::MappedFile file(options.file);
  const auto query = options.format.empty() ? "" : "?format=" + core::url_encode(options.format);
  return context.client().upload(path + query, file.bytes());
}

std::string outcome(const value& operation) {
  return fmt::format("import {}: {}\n", cell(operation, "id"), cell(operation, "state"));
}

}  // namespace

void add_import_command(CLI::App& group, CommandContext& context) {
  auto options = std::make_shared<ImportOptions>();
  auto* command = group.add_subcommand("import", "take a dump into a running service: all of it or nothing");
  command->add_option("service", options->service, "id or name")->required();
  auto* source = command->add_option_group("source", "where the dump is");
  source->add_option("--file", options->file, "a file here, which is sent");
  source->add_option("--path", options->path,
                     "a file or directory on the server, below an allowed root; with --destination an object's key");
  source->add_option("--url", options->url, "what the server fetches");
  source->add_option("--backup", options->backup, "a logical backup of the team");
  source->require_option(1);
  command->add_option("--destination", options->destination, "id of the team's own destination that --path is in");
  command->add_option("--format", options->format, "plain, custom, tar or directory: refused if it is another");
  add_wait_options(*command, *options);
  context.add_command(*command, [&context, options] {
    auto operation = begin(context, *options);
    if (options->wait) {
      operation = follow_operation(context, cell(operation, "id"), std::chrono::seconds(options->timeout_s));
    }
    context.print(operation, outcome);
  });
}

}  // namespace backstay::cli
