// Opening a repository from the command line: where it is, its key, its credentials. No server is asked.
#pragma once

#include <filesystem>
#include <memory>
#include <stop_token>
#include <string>

#include "backup/environment.h"
#include "blob/destination.h"
#include "core/random.h"
#include "core/time.h"
#include "os/file_system.h"
#include "os/process.h"
#include "repository/repository.h"

namespace CLI {
class App;
}

namespace backstay::cli {

/// The process's own world, for commands that work without a server.
struct LocalWorld {
  core::SystemClock clock;
  core::SystemRandom random;
  os::RealFileSystem files;
  os::SystemProcessRunner processes;
  [[nodiscard]] backup::Environment environment() { return {clock, random, files, processes}; }
};

/// What names a repository; filled by the options that add_to makes.
struct RepositoryAccess {
  std::string store;
  std::string endpoint_url;
  std::string region;
  std::string ca_file;
  std::filesystem::path credentials_file;
  std::filesystem::path key_file;

  /// Adds --store, --endpoint-url, --region, --ca-file, --credentials-file and --key-file.
  void add_to(CLI::App& command);
  /// S3 credentials come from the file, else from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
  [[nodiscard]] std::shared_ptr<blob::Store> open_store(LocalWorld& world, std::stop_token stop) const;
  /// From the file, else from BACKSTAY_RECOVERY_KEY. Throws Error(config_error) if neither is there.
  [[nodiscard]] repository::TeamKey read_key() const;
  [[nodiscard]] std::unique_ptr<repository::Repository> open(LocalWorld& world, std::stop_token stop) const;
  /// The same where a recovery of `backup` (empty: another state) follows at once: what it will ask for is on its way.
  [[nodiscard]] std::unique_ptr<repository::Repository> open_for_recovery(LocalWorld& world, const std::string& backup,
                                                                          std::stop_token stop) const;
};

/// The instance of this id or name; not_found that lists the names there are, conflict if several have the name.
std::string find_instance(const repository::Repository& repository, const std::string& name);

}  // namespace backstay::cli
