// A PostgreSQL, a repository and everything between them, for tests.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "backup/base_backup.h"
#include "backup/environment.h"
#include "backup/recover.h"
#include "backup/recovery_window.h"
#include "backup/wal_receiver.h"
#include "blob/testing/faulty_store.h"
#include "blob/testing/memory_store.h"
#include "core/error.h"
#include "core/random.h"
#include "core/time.h"
#include "os/file_system.h"
#include "os/process.h"
#include "postgres/server.h"
#include "postgres/testing/test_cluster.h"
#include "repository/repository.h"

namespace backstay::backup::testing {

/// A receiver on a thread of its own, stopped when it goes.
class RunningReceiver {
 public:
  RunningReceiver(const Environment& environment, repository::Repository& repository, WalReceiverConfig config);
  [[nodiscard]] WalReceiver& operator*() { return receiver_; }
  [[nodiscard]] WalReceiver* operator->() { return &receiver_; }

 private:
  WalReceiver receiver_;
  std::jthread thread_;
};

/// A server that a recovery made, open to the tests.
class RecoveredServer {
 public:
  RecoveredServer(const Environment& environment, postgres::ServerDescription description);
  ~RecoveredServer();
  [[nodiscard]] postgres::Rows query(const std::string& sql, const std::string& database = "postgres") const;
  [[nodiscard]] postgres::Server& server() { return server_; }

 private:
  postgres::Server server_;
};

/// Real files, real time, a store in memory behind one that can go away.
class ArchiveFixture : public ::testing::Test {
 protected:
  ArchiveFixture();

  /// The instance of a cluster, made in the repository.
  std::string add_instance(postgres::testing::TestCluster& cluster);
  std::string add_instance(const postgres::Server& server);
  repository::BackupRecord take_backup(const std::string& instance, const postgres::ConnectionTarget& target,
                                       const std::filesystem::path& data, WalReceiver* receiver = nullptr);
  repository::BackupRecord take_backup(const std::string& instance, postgres::testing::TestCluster& cluster,
                                       WalReceiver* receiver = nullptr) {
    return take_backup(instance, cluster.target(), cluster.paths().data(), receiver);
  }
  std::unique_ptr<RunningReceiver> receive(const std::string& instance, const postgres::ConnectionTarget& target);
  RecoverRequest recover_request(const RecoveryPlan& plan, const std::string& name);
  /// Recovers, and starts the server again for questions.
  std::unique_ptr<RecoveredServer> recover_to(const RecoveryPlan& plan, const std::string& name,
                                              std::optional<postgres::HandOver> hand_over = std::nullopt);
  std::unique_ptr<RecoveredServer> start_recovered(const std::string& name);
  /// Looks again and again until the condition holds. Throws timeout, naming `what`.
  template <typename Condition>
  void wait_for(core::Duration deadline, const char* what, Condition condition) {
    const auto end = clock_.steady_now() + deadline;
    while (!condition()) {
      if (clock_.steady_now() >= end) throw core::Error(core::Code::kTimeout, what);
      clock_.wait({}, std::chrono::milliseconds(10));
    }
  }
  /// Runs a program of the installation against a server; its standard output.
  std::string run_program(const std::string& program, const postgres::ConnectionTarget& target,
                          std::vector<std::string> arguments);

  /// What recovered servers run.
  const postgres::Installation* installation_ = &postgres::testing::test_installation();
  core::SystemClock clock_;
  core::SystemRandom random_;
  os::RealFileSystem files_;
  os::SystemProcessRunner processes_;
  postgres::ProcessLauncher launcher_{processes_};
  Environment environment_{clock_, random_, files_, processes_};
  blob::testing::MemoryStore memory_;
  std::shared_ptr<blob::testing::FaultyStore> store_ = std::make_shared<blob::testing::FaultyStore>(memory_);
  repository::TeamKey key_;
  std::unique_ptr<repository::Repository> repository_;
  postgres::testing::TemporaryDirectory directory_;
};

/// The static program for restore_command, beside the tests.
std::filesystem::path restore_helper();

}  // namespace backstay::backup::testing
