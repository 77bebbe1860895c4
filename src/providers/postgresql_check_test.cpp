// What the provider says without a server.
#include <gtest/gtest.h>

#include "control/testing/memory_archive_memory.h"
#include "core/error.h"
#include "providers/postgresql.h"

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
  std::vector<core::FieldError> refused_fields(bool isolates, const model::Service& wanted) {
    IdleRuntime runtime(isolates);
    const auto provider =
        make_postgresql_provider({runtime, files_, runner_, clock_, random_, metrics_, memory_, turns_}, {});
    try {
      provider->check(wanted, nullptr);
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

}  // namespace
}  // namespace backstay::providers
