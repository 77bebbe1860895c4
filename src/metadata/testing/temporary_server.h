// A throwaway PostgreSQL for tests of the state store. This folder sees neither `os` nor `postgres`, hence the
// processes by hand.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace backstay::metadata::testing {

/// Lives in a fresh directory below /tmp, on a socket there and without TCP. As root it runs as the user postgres.
/// Gone, process and directory, when this goes.
class TemporaryServer {
 public:
  TemporaryServer();
  ~TemporaryServer();
  TemporaryServer(const TemporaryServer&) = delete;
  TemporaryServer& operator=(const TemporaryServer&) = delete;

  /// The one of this test program, started at its first use.
  static TemporaryServer& shared();

  /// An empty database; returns its URL.
  std::string make_database();
  void drop_database(const std::string& url);
  /// One statement, by an administrator.
  void execute(const std::string& sql);
  /// Ends every process at once and starts again: what a crash of the server is to its clients.
  void crash();

 private:
  [[nodiscard]] std::string url_of(const std::string& database) const;
  pid_t spawn(const std::vector<std::string>& command);
  void start();
  void stop();

  std::filesystem::path directory_;
  std::filesystem::path binaries_;
  pid_t server_ = 0;
  int databases_ = 0;
};

}  // namespace backstay::metadata::testing
