// A throwaway PostgreSQL for unit tests.
#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <string>

#include "core/time.h"
#include "os/file_system.h"
#include "os/process.h"
#include "postgres/connection.h"
#include "postgres/server.h"

namespace backstay::postgres::testing {

struct TestClusterOptions {
  std::string extra_config;  ///< lines appended to postgresql.conf
  std::uint64_t segment_size = 16u << 20;
  bool start = true;
  int major = 0;  ///< 0: the one that test_installation() gives
};

/// Lives in a fresh directory below /tmp, with page checksums, on its own socket and without TCP; wal_level=replica,
/// room for replication, no fsync. As root it runs under an unprivileged user. Gone, process and directory, when
/// this goes.
class TestCluster {
 public:
  explicit TestCluster(const TestClusterOptions& options = {});
  ~TestCluster();
  TestCluster(const TestCluster&) = delete;
  TestCluster& operator=(const TestCluster&) = delete;

  void start();
  void stop(StopMode mode = StopMode::kFast);
  [[nodiscard]] Connection connect(const std::string& database = "postgres") const;
  [[nodiscard]] ConnectionTarget target(const std::string& database = "postgres") const;
  /// One statement on a new connection.
  Rows query(const std::string& sql) const;

  [[nodiscard]] const InstancePaths& paths() const;
  [[nodiscard]] const Installation& installation() const;
  [[nodiscard]] const std::optional<os::Identity>& identity() const;
  [[nodiscard]] Server& server();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The unprivileged user that tests run servers as: postgres if we are root, else none (ourselves).
std::optional<os::Identity> test_identity();
/// The installation that tests use, of this major or else Debian's own; the test fails if there is none.
const Installation& test_installation(int major = 0);
/// Those that the engine is tested on.
inline constexpr std::array kTestMajors = {15, 17, 18};
/// A fresh directory below /tmp that other users may pass through; removed with what is in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace backstay::postgres::testing
