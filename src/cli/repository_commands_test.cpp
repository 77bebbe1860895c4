#include "cli/repository_commands.h"

#include <algorithm>
#include <cstdlib>

#include <gtest/gtest.h>
#include <CLI/CLI.hpp>

#include "cli/pg_commands.h"
#include "cli/repository_access.h"
#include "core/json.h"
#include "core/text.h"

namespace backstay::cli {
namespace {

struct Outcome {
  int code = 0;
  std::string out;
  std::string err;
};

/// The commands over a directory store in a directory of their own.
class RepositoryCommandsTest : public ::testing::Test {
 public:
  RepositoryCommandsTest()
      : directory_(std::filesystem::temp_directory_path() / ("backstay-test-" + world_.random.token(12))) {
    world_.files.make_directories(directory_ / "store", 0700);
    unsetenv("BACKSTAY_RECOVERY_KEY");
  }
  ~RepositoryCommandsTest() override { world_.files.remove_all(directory_); }

 protected:
  Outcome run(std::vector<std::string> arguments, const std::string& key = "key") {
    CLI::App program;
    add_repository_commands(program);
    add_pg_commands(program);
    arguments.insert(arguments.end(), {"--store", "file://" + (directory_ / "store").string()});
    if (!key.empty()) arguments.insert(arguments.end(), {"--key-file", (directory_ / key).string()});
    std::ranges::reverse(arguments);
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    Outcome outcome;
    try {
      program.parse(arguments);
    } catch (const CLI::RuntimeError& e) {
      outcome.code = e.get_exit_code();
    }
    outcome.out = ::testing::internal::GetCapturedStdout();
    outcome.err = ::testing::internal::GetCapturedStderr();
    return outcome;
  }
  std::string put_instance(const std::string& name) {
    RepositoryAccess access;
    access.store = "file://" + (directory_ / "store").string();
    access.key_file = directory_ / "key";
    repository::InstanceRecord record;
    record.instance = world_.random.uuid();
    record.service_name = name;
    access.open(world_, {})->put_instance(record);
    return record.instance;
  }

  LocalWorld world_;
  std::filesystem::path directory_;
};

TEST_F(RepositoryCommandsTest, InitMakesAKeyThatOnlyItsOwnerReads) {
  const Outcome made = run({"repository", "init"});
  EXPECT_EQ(made.code, 0) << made.err;
  EXPECT_EQ(world_.files.stat(directory_ / "key")->mode, 0600U);
  const auto key = world_.files.read_file(directory_ / "key");
  EXPECT_TRUE(core::as_text(key).starts_with("bsk1-"));
  EXPECT_EQ(made.out.find("bsk1-"), std::string::npos) << "the key was printed";
}

TEST_F(RepositoryCommandsTest, InitLeavesARepositoryAlone) {
  ASSERT_EQ(run({"repository", "init"}).code, 0);
  const Outcome again = run({"repository", "init"});
  EXPECT_EQ(again.code, 1);
  EXPECT_EQ(run({"repository", "list"}).code, 0);
}

TEST_F(RepositoryCommandsTest, ListOfAnEmptyRepositoryIsAnEmptyArray) {
  ASSERT_EQ(run({"repository", "init"}).code, 0);
  const Outcome listed = run({"repository", "list", "-o", "json"});
  EXPECT_EQ(listed.code, 0);
  EXPECT_TRUE(core::parse_json(core::trim(listed.out)).as_array().empty());
}

TEST_F(RepositoryCommandsTest, AnotherKeyOpensNothing) {
  ASSERT_EQ(run({"repository", "init"}).code, 0);
  const repository::TeamKey other(repository::KeyBytes::generate(world_.random));
  world_.files.write_file_durably(directory_ / "other", core::as_bytes(repository::format_recovery_key(other).reveal()),
                                  0600);
  const Outcome refused = run({"repository", "list"}, "other");
  EXPECT_EQ(refused.code, 1);
  EXPECT_NE(refused.err.find("key"), std::string::npos);
}

TEST_F(RepositoryCommandsTest, MissingKeyIsWrongUsage) { EXPECT_EQ(run({"repository", "list"}, "").code, 2); }

TEST_F(RepositoryCommandsTest, UnknownInstanceIsNotFoundAndTheKnownOnesAreNamed) {
  ASSERT_EQ(run({"repository", "init"}).code, 0);
  put_instance("orders");
  const Outcome missing =
      run({"repository", "restore", "--instance", "nothing", "--directory", (directory_ / "new").string()});
  EXPECT_EQ(missing.code, 3);
  EXPECT_NE(missing.err.find("orders"), std::string::npos) << missing.err;
  EXPECT_FALSE(world_.files.stat(directory_ / "new"));
}

TEST_F(RepositoryCommandsTest, TargetOutOfReachTouchesNothing) {
  ASSERT_EQ(run({"repository", "init"}).code, 0);
  put_instance("orders");
  const Outcome refused = run({"pg", "recover", "--instance", "orders", "--target-time", "2026-01-01T00:00:00Z",
                               "--directory", (directory_ / "new").string()});
  EXPECT_EQ(refused.code, 4) << refused.err;
  EXPECT_FALSE(world_.files.stat(directory_ / "new"));
}

TEST_F(RepositoryCommandsTest, UnknownBackupIsNotVerified) {
  ASSERT_EQ(run({"repository", "init"}).code, 0);
  EXPECT_EQ(run({"repository", "verify", "--backup", world_.random.uuid()}).code, 3);
  EXPECT_EQ(run({"repository", "verify"}).code, 0);
}

TEST_F(RepositoryCommandsTest, AWholeDestinationOrASampleOfItIsVerified) {
  ASSERT_EQ(run({"repository", "init"}).code, 0);
  put_instance("orders");
  const Outcome whole = run({"repository", "verify", "-o", "json"});
  ASSERT_EQ(whole.code, 0) << whole.err;
  EXPECT_EQ(core::parse_json(core::trim(whole.out)).at("kinds").as_array().at(0).at("kind").as_string(),
            "instance record");
  const Outcome drawn = run({"repository", "verify", "--sample", "5%", "-o", "json"});
  ASSERT_EQ(drawn.code, 0) << drawn.err;
  EXPECT_TRUE(core::parse_json(core::trim(drawn.out)).at("sample").as_object().contains("seed"));
  EXPECT_EQ(run({"repository", "verify", "--sample", "1.5GiB", "--seed", "3"}).code, 0);
  for (const std::string wrong : {"0%", "101%", "x", "5%%", "-3GiB", "5 parts"}) {
    EXPECT_EQ(run({"repository", "verify", "--sample", wrong}).code, 2) << wrong;
  }
}

TEST_F(RepositoryCommandsTest, DamagedRecordIsListedAndFound) {
  ASSERT_EQ(run({"repository", "init"}).code, 0);
  const std::string instance = put_instance("orders");
  const std::string backup = world_.random.uuid();
  const auto record = directory_ / "store" / repository::backup_record_name(instance, backup, {}).key;
  world_.files.make_directories(record.parent_path(), 0700);
  world_.files.write_file_durably(record, core::as_bytes("damage"), 0600);
  const Outcome listed = run({"repository", "list", "-o", "json"});
  ASSERT_EQ(listed.code, 0) << listed.err;
  const auto instances = core::parse_json(core::trim(listed.out));
  const auto& entry = instances.as_array().at(0).at("backups").as_array().at(0);
  EXPECT_EQ(entry.at("id").as_string(), backup);
  EXPECT_FALSE(entry.at("problem").as_string().empty());
  const Outcome verified = run({"repository", "verify"});
  EXPECT_EQ(verified.code, 6) << verified.err;
  EXPECT_NE(verified.out.find(backup), std::string::npos) << verified.out;
}

TEST_F(RepositoryCommandsTest, TwoInstancesOfOneNameMustBeNamedById) {
  ASSERT_EQ(run({"repository", "init"}).code, 0);
  put_instance("orders");
  put_instance("orders");
  const Outcome refused =
      run({"repository", "restore", "--instance", "orders", "--directory", (directory_ / "new").string()});
  EXPECT_EQ(refused.code, 1);
  EXPECT_NE(refused.err.find("by its id"), std::string::npos) << refused.err;
}

}  // namespace
}  // namespace backstay::cli
