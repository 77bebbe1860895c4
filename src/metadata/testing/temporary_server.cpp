#include "metadata/testing/temporary_server.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include <fmt/format.h>
#include <soci/postgresql/soci-postgresql.h>
#include <soci/soci.h>

#include "core/error.h"
#include "core/time.h"

namespace backstay::metadata::testing {
namespace {

constexpr auto kUser = "backstay";
constexpr int kAttempts = 1000;
constexpr auto kPause = std::chrono::milliseconds(20);

std::filesystem::path make_directory() {
  auto pattern = (std::filesystem::temp_directory_path() / "backstay-server-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw core::system_error("cannot make a directory for the test", errno);
  return pattern;
}

std::filesystem::path find_binaries() {
  const std::filesystem::path root = "/usr/lib/postgresql";
  for (const auto& version : std::filesystem::directory_iterator(root)) {
    if (std::filesystem::exists(version.path() / "bin/initdb")) return version.path() / "bin";
  }
  throw core::Error(core::Code::kInternal, "no PostgreSQL is installed below /usr/lib/postgresql");
}

/// In the child, between fork and exec. The server ends with the test program, however that ends.
[[noreturn]] void become(const passwd* user, int log, char* const* arguments, int death_signal) {
  ::dup2(log, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  if (user != nullptr && (::setgroups(0, nullptr) != 0 || ::setgid(user->pw_gid) != 0 || ::setuid(user->pw_uid) != 0)) {
    ::_exit(126);
  }
  ::prctl(PR_SET_PDEATHSIG, death_signal);
  ::execv(arguments[0], arguments);
  ::_exit(127);
}

void wait_for_end(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace

TemporaryServer::TemporaryServer() : directory_(make_directory()), binaries_(find_binaries()) {
  if (const passwd* user = ::geteuid() == 0 ? ::getpwnam("postgres") : nullptr; user != nullptr) {
    if (::chown(directory_.c_str(), user->pw_uid, user->pw_gid) != 0) {
      throw core::system_error("cannot give the test's directory away", errno);
    }
  }
  wait_for_end(spawn({binaries_ / "initdb", "--no-sync", "--auth=trust", "--encoding=UTF8", "--no-locale",
                      fmt::format("--username={}", kUser), "-D", directory_ / "data"}));
  start();
}

TemporaryServer::~TemporaryServer() {
  stop();
  std::filesystem::remove_all(directory_);
}

TemporaryServer& TemporaryServer::shared() {
  static TemporaryServer server;
  return server;
}

std::string TemporaryServer::url_of(const std::string& database) const {
  return fmt::format("postgresql:///{}?host={}&user={}", database, directory_.string(), kUser);
}

std::string TemporaryServer::make_database() {
  const auto name = fmt::format("state_{}", ++databases_);
  execute("CREATE DATABASE " + name);
  return url_of(name);
}

void TemporaryServer::drop_database(const std::string& url) {
  const auto begin = url.rfind('/', url.find('?')) + 1;
  execute("DROP DATABASE " + url.substr(begin, url.find('?') - begin) + " WITH (FORCE)");
}

void TemporaryServer::execute(const std::string& sql) {
  soci::session session(soci::postgresql, url_of("postgres"));
  session << sql;
}

void TemporaryServer::crash() {
  stop();
  start();
}

pid_t TemporaryServer::spawn(const std::vector<std::string>& command) {
  const passwd* user = ::geteuid() == 0 ? ::getpwnam("postgres") : nullptr;
  const int log = ::open((directory_ / "log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log < 0) throw core::system_error("cannot write the test server's log", errno);
  auto words = command;
  std::vector<char*> arguments;
  for (auto& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const pid_t child = ::fork();
  if (child == 0) become(user, log, arguments.data(), SIGQUIT);
  ::close(log);
  if (child < 0) throw core::system_error("cannot start a process for the test", errno);
  return child;
}

void TemporaryServer::start() {
  server_ = spawn({binaries_ / "postgres", "-D", directory_ / "data", "-c", "listen_addresses=", "-c",
                   "unix_socket_directories=" + directory_.string(), "-c", "fsync=off"});
  core::SystemClock clock;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    try {
      execute("SELECT 1");
      return;
    } catch (const soci::soci_error&) {
      clock.wait({}, kPause);
    }
  }
  std::stringstream log;
  log << std::ifstream(directory_ / "log").rdbuf();
  throw core::Error(core::Code::kInternal, "the test's PostgreSQL does not answer: " + log.str());
}

void TemporaryServer::stop() {
  ::kill(server_, SIGQUIT);
  wait_for_end(server_);
}

}  // namespace backstay::metadata::testing
