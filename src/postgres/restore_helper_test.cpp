// The restore_command helper against a scripted other side.
#include <filesystem>
#include <thread>

#include <gtest/gtest.h>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/bytes.h"
#include "os/file.h"
#include "os/file_system.h"
#include "os/process.h"
#include "postgres/testing/test_cluster.h"

namespace backstay::postgres {
namespace {

namespace fs = std::filesystem;

class RestoreHelperTest : public ::testing::Test {
 protected:
  RestoreHelperTest() {
    fs::create_directories(root() / "recovery" / "wal");
    fs::create_directories(root() / "data" / "pg_wal");
  }

  [[nodiscard]] fs::path root() const { return directory_.path(); }

  void listen() {
    listener_ = os::Descriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const auto name = (root() / "recovery" / "fetch.sock").string();
    ASSERT_LT(name.size(), sizeof address.sun_path);
    name.copy(address.sun_path, sizeof address.sun_path - 1);
    ASSERT_EQ(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::listen(listener_.get(), 1), 0);
  }

  /// Takes one request and answers; what was asked is in asked_.
  void answer_once(std::string_view answer) {
    const os::Descriptor peer(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    std::array<char, 256> buffer{};
    while (asked_.find('\n') == std::string::npos) {
      const auto count = ::read(peer.get(), buffer.data(), buffer.size());
      if (count <= 0) break;
      asked_.append(buffer.data(), static_cast<std::size_t>(count));
    }
    os::write_all(peer.get(), core::as_bytes(answer));
  }

  os::CommandResult run(const std::string& file, const std::string& socket = "../recovery/fetch.sock") {
    os::SystemProcessRunner runner;
    os::Command command;
    command.argv = {(fs::read_symlink("/proc/self/exe").parent_path() / "backstay-restore-wal").string(), socket, file,
                    "pg_wal/RECOVERYXLOG"};
    command.directory = root() / "data";
    command.deadline = std::chrono::seconds(30);
    return runner.run(command, {});
  }

  os::CommandResult run_with_answer(const std::string& file, std::string_view answer) {
    listen();
    const std::jthread other([&] { answer_once(answer); });
    return run(file);
  }

  testing::TemporaryDirectory directory_;
  os::Descriptor listener_;
  os::RealFileSystem files_;
  std::string asked_;
};

TEST_F(RestoreHelperTest, MovesWhatIsReady) {
  files_.write_file_durably(root() / "recovery/wal/000000010000000000000002", core::as_bytes("wal"), 0600);
  const auto result = run_with_answer("000000010000000000000002", "ready\n");
  EXPECT_EQ(result.exit_code, 0) << result.error;
  EXPECT_EQ(asked_, "000000010000000000000002\n");
  EXPECT_EQ(core::as_text(files_.read_file(root() / "data/pg_wal/RECOVERYXLOG")), "wal");
  EXPECT_FALSE(fs::exists(root() / "recovery/wal/000000010000000000000002"));
}

TEST_F(RestoreHelperTest, SaysWhatIsMissing) {
  EXPECT_EQ(run_with_answer("00000002.history", "missing\n").exit_code, 1);
}

TEST_F(RestoreHelperTest, StopsTheRecoveryWhenNobodyCanKnow) {
  const auto result = run_with_answer("000000010000000000000002", "error the store is away\n");
  EXPECT_EQ(result.exit_code, 126);
  EXPECT_NE(result.error.find("the store is away"), std::string::npos) << result.error;
}

TEST_F(RestoreHelperTest, StopsTheRecoveryWhenTheOtherSideGoes) {
  EXPECT_EQ(run_with_answer("000000010000000000000002", "").exit_code, 126);
}

TEST_F(RestoreHelperTest, StopsTheRecoveryAtAHalfAnswer) {
  EXPECT_EQ(run_with_answer("000000010000000000000002", "missin").exit_code, 126);
}

TEST_F(RestoreHelperTest, StopsTheRecoveryAtAnUnknownAnswer) {
  EXPECT_EQ(run_with_answer("000000010000000000000002", "perhaps\n").exit_code, 126);
}

TEST_F(RestoreHelperTest, StopsTheRecoveryWhenTheFileIsNotThere) {
  EXPECT_EQ(run_with_answer("000000010000000000000002", "ready\n").exit_code, 126);
}

TEST_F(RestoreHelperTest, StopsTheRecoveryWithoutAnotherSide) {
  EXPECT_EQ(run("000000010000000000000002").exit_code, 126);
}

TEST_F(RestoreHelperTest, RefusesNamesThatLeadElsewhere) {
  for (const std::string name : {"", "..", "a/b", "../x"}) EXPECT_EQ(run(name).exit_code, 126) << name;
}

TEST_F(RestoreHelperTest, ReachesSocketsBelowLongPaths) {
  listen();
  const auto deep = root() / std::string(100, 'd') / std::string(100, 'e');
  fs::create_directories(deep.parent_path());
  fs::create_directory_symlink(root() / "recovery", deep);
  const std::jthread other([&] { answer_once("missing\n"); });
  EXPECT_EQ(run("00000002.history", (deep / "fetch.sock").string()).exit_code, 1);
}

}  // namespace
}  // namespace backstay::postgres
