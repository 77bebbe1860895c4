#include "cli/repository_access.h"

#include <cstdlib>
#include <optional>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>

#include "core/error.h"
#include "core/text.h"
#include "repository/first_look.h"

namespace backstay::cli {
namespace {

constexpr const char* kKeyVariable = "BACKSTAY_RECOVERY_KEY";

std::string environment_text(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// Lines of "name = value"; section headings and comments are passed over.
std::string value_in(const std::string& text, std::string_view wanted) {
  for (const std::string& line : core::split(text, '\n')) {
    const auto equals = line.find('=');
    if (equals == std::string::npos) continue;
    const std::string name = core::to_lower(core::trim(std::string_view(line).substr(0, equals)));
    if (name == wanted) return std::string(core::trim(std::string_view(line).substr(equals + 1)));
  }
  return "";
}

}  // namespace

void RepositoryAccess::add_to(CLI::App& command) {
  command.add_option("--store", store, "s3://bucket/prefix or file:///directory")->required();
  command.add_option("--endpoint-url", endpoint_url, "S3 endpoint, e.g. https://s3.example.com");
  command.add_option("--region", region, "S3 region");
  command.add_option("--ca-file", ca_file, "certificate authorities to trust for the store (PEM)");
  command.add_option("--credentials-file", credentials_file,
                     "file with aws_access_key_id and aws_secret_access_key; else AWS_ACCESS_KEY_ID and "
                     "AWS_SECRET_ACCESS_KEY");
  command.add_option("--key-file", key_file,
                     fmt::format("file with the recovery key (bsk1-...); else {}", kKeyVariable));
}

std::shared_ptr<blob::Store> RepositoryAccess::open_store(LocalWorld& world, std::stop_token stop) const {
  blob::DestinationConfig config;
  config.url = store;
  config.endpoint_url = endpoint_url;
  config.region = region;
  if (credentials_file.empty()) {
    config.access_key = environment_text("AWS_ACCESS_KEY_ID");
    config.secret_key = core::Secret(environment_text("AWS_SECRET_ACCESS_KEY"));
  } else {
    const auto bytes = world.files.read_file(credentials_file);
    const std::string text(core::as_text(bytes));
    config.access_key = value_in(text, "aws_access_key_id");
    config.secret_key = core::Secret(value_in(text, "aws_secret_access_key"));
  }
  blob::StorePolicy policy;
  // Whoever runs this command may read and write what they may anyway.
  policy.directory_roots = {"/"};
  policy.ca_file = ca_file;
  return blob::open_store(config, policy,
                          {.clock = world.clock, .random = world.random, .metrics = nullptr, .stop = std::move(stop)});
}

repository::TeamKey RepositoryAccess::read_key() const {
  if (!key_file.empty()) {
    os::RealFileSystem files;
    const auto bytes = files.read_file(key_file);
    return repository::parse_recovery_key(core::trim(core::as_text(bytes)));
  }
  const core::Secret key(environment_text(kKeyVariable));
  if (!key.empty()) return repository::parse_recovery_key(core::trim(key.reveal()));
  throw core::Error(core::Code::kConfigError, "no recovery key was given")
      .with_hint(fmt::format("name a file that holds it with --key-file, or set {}", kKeyVariable));
}

std::unique_ptr<repository::Repository> RepositoryAccess::open(LocalWorld& world, std::stop_token stop) const {
  const repository::TeamKey key = read_key();
  return repository::Repository::open(open_store(world, std::move(stop)), key, world.random, world.clock);
}

std::unique_ptr<repository::Repository> RepositoryAccess::open_for_recovery(LocalWorld& world,
                                                                            const std::string& backup,
                                                                            std::stop_token stop) const {
  const repository::TeamKey key = read_key();
  auto early = repository::begin_recovery_reads(open_store(world, std::move(stop)), backup);
  return repository::Repository::open(std::move(early), key, world.random, world.clock);
}

std::string find_instance(const repository::Repository& repository, const std::string& name) {
  std::vector<std::string> found;
  std::vector<std::string> names;
  for (const std::string& id : repository.instances()) {
    const auto record = repository.instance(id);
    if (id == name) return id;
    names.push_back(record ? record->service_name : id);
    if (record && record->service_name == name) found.push_back(id);
  }
  if (found.size() == 1) return found.front();
  if (found.empty()) {
    throw core::Error(core::Code::kNotFound, fmt::format("the repository has no instance '{}'", name))
        .with_hint(names.empty() ? "the repository holds no instance at all"
                                 : fmt::format("it has: {}", fmt::join(names, ", ")));
  }
  throw core::Error(core::Code::kConflict, fmt::format("several instances are called '{}'", name))
      .with_hint(fmt::format("name one by its id: {}", fmt::join(found, ", ")));
}

}  // namespace backstay::cli
