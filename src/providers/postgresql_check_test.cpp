// What the provider says without a server.
#include <gtest/gtest.h>

#include "control/testing/memory_archive_memory.h"
#include "core/error.h"
#include "providers/postgresql.h"
#include "providers/postgresql_dumps.h"

namespace backstay::providers {
namespace {

/// A runtime that nothing is started in: it has users of their own for services, or not.
class IdleRuntime final : public control::Runtime {
 public:
  explicit IdleRuntime(bool isolates) : isolates_(isolates) {}
  [[nodiscard]] bool isolates() const override { return isolates_; }
  [[nodiscard]] std::filesystem::path directory(const std::string&) const override { return "/nowhere"; }
  std::filesystem::path make_directory(const control::InstancePlace&) override { refuse(); }
  void remove_directory(const std::string&) override { refuse(); }
  void end_processes(const control::InstancePlace&, core::Clock&, std::stop_token) override { refuse(); }
  control::RuntimeProcess start(const control::InstancePlace&, const control::RunCommand&) override { refuse(); }
  [[nodiscard]] std::optional<std::string> limits_problem(const std::string&) const override { return std::nullopt; }
  void set_limits(const control::InstancePlace&) override { refuse(); }
  [[nodiscard]] bool is_alive(const control::RuntimeProcess&) const override { return false; }

 private:
  [[noreturn]] static void refuse() { throw core::Error(core::Code::kInternal, "nothing is to be started here"); }
  bool isolates_;
};

class PostgresqlCheckTest : public ::testing::Test {
 protected:
  std::unique_ptr<control::Provider> provider_in(control::Runtime& runtime) {
    PostgresqlConfig config;
    config.state_dir = "/nowhere";
    return make_postgresql_provider({runtime, files_, runner_, clock_, random_, metrics_, memory_, turns_}, config);
  }
  /// Of a recovery from a backup of this major version into a PostgreSQL 15.
  core::Error refusal_of_recovery(int source_major) {
    IdleRuntime runtime(true);
    model::Service wanted;
    wanted.provider = {"postgresql", "15", "postgresql"};
    control::RecoveryQuestion question;
    question.instances.emplace_back().engine_major = source_major;
    question.backup_id = "7c9e6679-7425-40de-944b-e07fc1f90ae7";
    question.from.destination.url = "file:///nowhere";
    try {
      provider_in(runtime)->plan_recovery(question, wanted);
    } catch (const core::Error& error) {
      return error;
    }
    return {core::Code::kInternal, "nothing was refused"};
  }
  std::vector<core::FieldError> refused_fields(bool isolates, const model::Service& wanted) {
    IdleRuntime runtime(isolates);
    try {
      provider_in(runtime)->check(wanted, nullptr);
    } catch (const core::Error& error) {
      EXPECT_EQ(error.code(), core::Code::kInvalidArgument);
      return error.fields();
    }
    return {};
  }

  os::RealFileSystem files_;
  os::SystemProcessRunner runner_;
  core::SystemClock clock_;
  core::SystemRandom random_;
  core::Metrics metrics_;
  control::testing::MemoryArchiveMemory memory_;
  StoreTurns turns_{{}};
};

TEST_F(PostgresqlCheckTest, ASuperuserNeedsAUserOfItsOwn) {
  model::Service wanted;
  wanted.provider = {"postgresql", "15", "postgresql"};
  wanted.secrets = {{"password", core::Secret("a password")}};
  EXPECT_TRUE(refused_fields(false, wanted).empty());
  wanted.secrets["superuserPassword"] = core::Secret("another password");
  EXPECT_TRUE(refused_fields(true, wanted).empty());
  const auto fields = refused_fields(false, wanted);
  ASSERT_EQ(fields.size(), 1u);
  EXPECT_EQ(fields.front().pointer, "/secrets/superuserPassword");
}

TEST_F(PostgresqlCheckTest, APhysicalBackupOfAnotherMajorIsRefusedAndTheLogicalWayIsNamed) {
  const auto older = refusal_of_recovery(14);
  EXPECT_EQ(older.code(), core::Code::kInvalidArgument);
  ASSERT_EQ(older.fields().size(), 1U);
  EXPECT_EQ(older.fields()[0].pointer, "/provider/version");
  EXPECT_NE(older.hint().find(R"({"mechanism":"logical"})"), std::string::npos) << older.hint();
  EXPECT_NE(refusal_of_recovery(16).hint().find("no backup goes back"), std::string::npos);
}

TEST_F(PostgresqlCheckTest, PlanningARecoveryTakesATurnOfItsTeam) {
  const auto held = turns_.take(0);
  const auto held_too = turns_.take(0);
  EXPECT_EQ(refusal_of_recovery(15).code(), core::Code::kUnavailable);
}

TEST_F(PostgresqlCheckTest, AWindowThatIsKnownIsAnsweredForItsPlaceOnly) {
  IdleRuntime runtime(true);
  const auto provider = provider_in(runtime);
  control::ServiceBody body;
  body.instance.id = body.service.status.instance_id = "7c9e6679-7425-40de-944b-e07fc1f90ae7";
  body.instance.destination_id = body.service.backups.destination_id = "new";
  memory_.remember_window({.instance_id = body.instance.id, .destination_id = "new"});
  const auto held = turns_.take(0);
  const auto held_too = turns_.take(0);
  EXPECT_EQ(provider->recovery_window(body).destination_id, "new");
  body.instance.destination_id = "old";
  try {
    provider->recovery_window(body);
    ADD_FAILURE() << "the window of another place was answered";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::Code::kUnavailable);
  }
}

TEST_F(PostgresqlCheckTest, DumpsNeedThePgDumpOfTheirMajorAndAreReadByAnyLaterOne) {
  IdleRuntime runtime(true);
  const auto provider = provider_in(runtime);
  model::Instance instance;
  for (const auto& [major, takes, reads] :
       {std::tuple(15, true, true), std::tuple(14, false, true), std::tuple(99, false, false)}) {
    instance.engine_major = major;
    EXPECT_EQ(!provider->logical_problem(instance, control::DumpWork::kTake), takes) << major;
    EXPECT_EQ(!provider->logical_problem(instance, control::DumpWork::kRead), reads) << major;
  }
  EXPECT_EQ(provider->logical_problem(instance, control::DumpWork::kTake),
            "no pg_dump of PostgreSQL 99 is installed on this machine");
}

TEST_F(PostgresqlCheckTest, ADumpOfARemovedInstanceIsReadByNoTenant) {
  model::Instance instance;
  EXPECT_FALSE(dump_reader(instance)) << "instances have no users here";
  instance.uid = 70'001;
  instance.state = model::InstanceState::kServing;
  EXPECT_EQ(dump_reader(instance)->uid, 70'001U);
  instance.state = model::InstanceState::kRemoved;
  EXPECT_EQ(dump_reader(instance)->uid, 65'534U) << "its number may have been given to another one";
  EXPECT_EQ(dump_reader(instance)->gid, 65'534U);
}

}  // namespace
}  // namespace backstay::providers
