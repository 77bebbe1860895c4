#include "app/services_directory.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "metadata/settings.h"
#include "metadata/testing/temporary_database.h"

namespace backstay::app {
namespace {

class ServicesDirectoryTest : public testing::Test {
 public:
  ServicesDirectoryTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "backstay-services-XXXXXX").string();
    scratch_ = mkdtemp(pattern.data());
  }
  ~ServicesDirectoryTest() override { std::filesystem::remove_all(scratch_); }

 protected:
  void claim(const std::string& name, metadata::testing::TemporaryDatabase& state) {
    claim_services_directory(scratch_ / name, files_, state.database(), random_);
  }
  core::Code refusal(const std::string& name, metadata::testing::TemporaryDatabase& state) {
    try {
      claim(name, state);
    } catch (const core::Error& error) {
      return error.code();
    }
    ADD_FAILURE() << "accepted";
    return core::Code::kInternal;
  }

  os::RealFileSystem files_;
  core::SystemRandom random_;
  std::filesystem::path scratch_;
  metadata::testing::TemporaryDatabase state_;
};

TEST_F(ServicesDirectoryTest, IsOnesOwnAgainAndAgain) {
  claim("services", state_);
  EXPECT_NO_THROW(claim("services", state_));
}

TEST_F(ServicesDirectoryTest, IsNoOtherStates) {
  metadata::testing::TemporaryDatabase other;
  claim("services", state_);
  EXPECT_EQ(refusal("services", other), core::Code::kConfigError);
  EXPECT_NO_THROW(claim("others", other)) << "a refusal claims nothing";
}

TEST_F(ServicesDirectoryTest, IsNotAnEmptyOneOnceThereMayBeServices) {
  claim("services", state_);
  EXPECT_EQ(refusal("elsewhere", state_), core::Code::kConfigError);
}

TEST_F(ServicesDirectoryTest, IsClaimedByTheStartAfterAKillHalfWay) {
  state_.database().write([](auto& tx) { metadata::Settings(tx).put("state_id", "the-id"); });
  claim("services", state_);
  const core::Bytes content = files_.read_file(scratch_ / "services/state-id");
  EXPECT_EQ(core::as_text(content), "the-id\n");
}

}  // namespace
}  // namespace backstay::app
