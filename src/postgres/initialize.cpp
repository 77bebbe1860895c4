#include <array>

#include <pwd.h>
#include <unistd.h>

#include <fmt/format.h>

#include "core/bytes.h"
#include "core/error.h"
#include "postgres/server.h"

namespace backstay::postgres {
namespace {

namespace fs = std::filesystem;
using core::Code;
using core::Error;

constexpr int kVersionWithLocaleProvider = 15;
constexpr auto kInitDeadline = std::chrono::seconds(300);

bool has_passwd_entry(uid_t uid) {
  passwd entry{};
  passwd* found = nullptr;
  std::array<char, 16384> buffer{};
  return ::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr;
}

std::optional<os::Identity> identity_of(const char* name) {
  passwd entry{};
  passwd* found = nullptr;
  std::array<char, 16384> buffer{};
  if (::getpwnam_r(name, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) return std::nullopt;
  return os::Identity{entry.pw_uid, entry.pw_gid};
}

/// initdb asks the passwd database who it is, and refuses to be root: a service's user without an entry needs somebody
/// to stand in.
std::optional<os::Identity> initdb_identity(const std::optional<os::Identity>& owner) {
  if (::geteuid() != 0) return std::nullopt;
  if (owner && owner->uid != 0 && has_passwd_entry(owner->uid)) return owner;
  for (const auto* name : {"postgres", "nobody"}) {
    if (const auto identity = identity_of(name)) return identity;
  }
  throw Error(Code::kProcessFailed, "initdb needs an unprivileged user, and there is neither 'postgres' nor 'nobody'");
}

os::Command initdb_command(const InitRequest& request, const fs::path& data, const fs::path& password_file) {
  os::Command command;
  command.argv = {request.installation.program("initdb").string(),
                  "--pgdata=" + data.string(),
                  "--username=" + std::string(kManagementRole),
                  "--pwfile=" + password_file.string(),
                  "--data-checksums",
                  "--encoding=UTF8",
                  "--locale=C.UTF-8",
                  "--auth-local=scram-sha-256",
                  "--auth-host=scram-sha-256"};
  if (request.installation.major >= kVersionWithLocaleProvider) command.argv.emplace_back("--locale-provider=libc");
  if (request.segment_size != kDefaultSegmentSize) {
    command.argv.push_back(fmt::format("--wal-segsize={}", request.segment_size >> 20));
  }
  if (!request.sync) command.argv.emplace_back("--no-sync");
  command.environment = {{"PATH", "/usr/bin:/bin"}, {"LC_ALL", "C.UTF-8"}, {"TZ", "UTC"}};
  command.deadline = kInitDeadline;
  return command;
}

/// Beside the instance, because whoever stands in may not enter it.
std::string staging_prefix(const InstancePaths& paths) { return "." + paths.root.filename().string() + ".initdb."; }

void remove_earlier_attempts(os::FileSystem& files, const InstancePaths& paths) {
  const auto parent = paths.root.parent_path();
  for (const auto& entry : files.list(parent)) {
    if (entry.name.starts_with(staging_prefix(paths))) files.remove_all(parent / entry.name);
  }
}

}  // namespace

void initialize_cluster(os::ProcessRunner& runner, os::FileSystem& files, const InitRequest& request,
                        std::stop_token stop) {
  prepare_directories(files, request.paths, request.identity);
  if (files.stat(request.paths.data())) return;  // it appears by rename, finished
  remove_earlier_attempts(files, request.paths);
  const auto staging = request.paths.root.parent_path() / (staging_prefix(request.paths) + request.attempt);
  const auto identity = initdb_identity(request.identity);
  const auto password_file = staging / "password";
  files.make_directories(staging, 0700);
  files.write_file_durably(password_file, core::as_bytes(request.management_password.reveal()), 0600);
  give_to(files, staging, identity);
  auto command = initdb_command(request, staging / "data", password_file);
  command.identity = identity;
  try {
    os::run_checked(runner, command, std::move(stop));
  } catch (Error& e) {
    files.remove_all(staging);
    throw e.add_context("a new cluster cannot be made");
  }
  files.remove(password_file);
  // Other programs run under the user that stood in: from here on they cannot exchange what is handed over.
  if (identity) files.set_owner(staging, ::geteuid(), ::getegid());
  if (request.identity) give_to(files, staging / "data", request.identity);
  files.rename(staging / "data", request.paths.data());
  files.sync_directory(request.paths.root);
  files.remove_all(staging);
}

}  // namespace backstay::postgres
