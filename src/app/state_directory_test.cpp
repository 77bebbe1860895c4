#include "app/state_directory.h"

#include <stdlib.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "app/master_key.h"
#include "core/error.h"

namespace backstay::app {
namespace {

class StateDirectoryTest : public testing::Test {
 public:
  StateDirectoryTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "backstay-state-XXXXXX").string();
    scratch_ = mkdtemp(pattern.data());
  }
  ~StateDirectoryTest() override { std::filesystem::remove_all(scratch_); }

 protected:
  [[nodiscard]] std::filesystem::path path() const { return scratch_ / "a" / "state"; }
  std::string text_of(const std::filesystem::path& file) { return std::string(core::as_text(files_.read_file(file))); }
  mode_t mode_of(const std::filesystem::path& file) { return files_.stat(file).value().mode; }

  os::RealFileSystem files_;
  core::SystemRandom random_;
  std::filesystem::path scratch_;
};

template <typename Act>
core::Error refusal(Act act) {
  try {
    act();
  } catch (const core::Error& error) {
    return error;
  }
  ADD_FAILURE() << "accepted";
  return {core::Code::kInternal, ""};
}

TEST_F(StateDirectoryTest, IsMadeTraversableForServices) {
  const StateDirectory state(path(), files_, random_);
  EXPECT_EQ(mode_of(path()), 0711U);
}

TEST_F(StateDirectoryTest, LeavesTheModeOfOneThatIsThere) {
  files_.make_directories(path(), 0700);
  files_.set_mode(path(), 0751);
  {
    const StateDirectory state(path(), files_, random_);
  }
  EXPECT_EQ(mode_of(path()), 0751U);
  files_.set_mode(path(), 0700);
  if (::geteuid() == 0) {
    const auto error = refusal([&] { const StateDirectory state(path(), files_, random_); });
    EXPECT_EQ(error.code(), core::Code::kConfigError);
    EXPECT_NE(error.hint().find("o+x"), std::string::npos);
  } else {
    const StateDirectory state(path(), files_, random_);
  }
  EXPECT_EQ(mode_of(path()), 0700U);
}

TEST_F(StateDirectoryTest, IsForOneServerAtATime) {
  {
    const StateDirectory first(path(), files_, random_);
    const auto error = refusal([&] { const StateDirectory second(path(), files_, random_); });
    EXPECT_EQ(error.code(), core::Code::kConflict);
    EXPECT_NE(error.message().find(path().string()), std::string::npos);
  }
  EXPECT_NO_THROW(StateDirectory(path(), files_, random_));
}

TEST_F(StateDirectoryTest, KnowsItsServerAgain) {
  const auto id = StateDirectory(path(), files_, random_).server_id();
  EXPECT_EQ(id.size(), 36U);
  EXPECT_EQ(StateDirectory(path(), files_, random_).server_id(), id);
}

TEST_F(StateDirectoryTest, NamesTheEndpointOnlyWhileItServes) {
  {
    StateDirectory state(path(), files_, random_);
    state.put_endpoint("http://127.0.0.1:4");
    EXPECT_EQ(text_of(path() / "endpoint.json"), "{\"url\":\"http://127.0.0.1:4\"}\n");
  }
  const StateDirectory after_a_kill(path(), files_, random_);
  EXPECT_FALSE(files_.stat(path() / "endpoint.json"));
}

TEST_F(StateDirectoryTest, AsksForTheAdminTokenUntilItIsInItsFile) {
  {
    const StateDirectory state(path(), files_, random_);
    EXPECT_TRUE(state.lacks_admin_token());
    files_.write_file_durably(state.database_file(), {}, 0600);
  }
  {
    StateDirectory killed_before_the_file(path(), files_, random_);
    EXPECT_TRUE(killed_before_the_file.lacks_admin_token());
    killed_before_the_file.put_admin_token(core::Secret("bs_token"));
    EXPECT_EQ(text_of(killed_before_the_file.admin_token_file()), "bs_token\n");
    EXPECT_EQ(mode_of(killed_before_the_file.admin_token_file()), 0600U);
  }
  files_.remove(path() / "admin-token");
  EXPECT_FALSE(StateDirectory(path(), files_, random_).lacks_admin_token());
}

TEST_F(StateDirectoryTest, MakesTheMasterKeyOnceAndReadsItAgain) {
  const auto file = scratch_ / "state.key";
  const auto made = load_master_key(file, false, files_, random_);
  EXPECT_EQ(mode_of(file), 0600U);
  EXPECT_EQ(load_master_key(file, true, files_, random_).bytes, made.bytes);
}

TEST_F(StateDirectoryTest, RefusesAMissingOpenOrBrokenMasterKey) {
  const auto file = scratch_ / "state.key";
  EXPECT_NE(refusal([&] { load_master_key(file, true, files_, random_); }).message().find("missing"),
            std::string::npos);
  files_.write_file_durably(file, core::as_bytes(std::string(64, 'a')), 0640);
  EXPECT_NE(refusal([&] { load_master_key(file, true, files_, random_); }).message().find("by others"),
            std::string::npos);
  files_.write_file_durably(file, core::as_bytes("abcd"), 0600);
  EXPECT_NE(refusal([&] { load_master_key(file, true, files_, random_); }).message().find("64"), std::string::npos);
}

TEST_F(StateDirectoryTest, FindsTheMasterKeyOutsideTheState) {
  Configuration configuration;
  configuration.server_state_dir = path().string();
  std::optional<std::string> credentials;
  const Environment environment = [&](const std::string& name) {
    return name == "CREDENTIALS_DIRECTORY" ? credentials : std::nullopt;
  };
  EXPECT_EQ(master_key_file(configuration, environment, files_), path().string() + ".key");
  credentials = scratch_.string();
  EXPECT_EQ(master_key_file(configuration, environment, files_), path().string() + ".key");
  files_.write_file_durably(scratch_ / "backstay-master-key", {}, 0400);
  EXPECT_EQ(master_key_file(configuration, environment, files_), scratch_ / "backstay-master-key");
  configuration.server_master_key_file = (path() / "x" / ".." / "key").string();
  EXPECT_EQ(refusal([&] { master_key_file(configuration, environment, files_); }).code(), core::Code::kConfigError);
  configuration.server_master_key_file = (scratch_ / "key").string();
  EXPECT_EQ(master_key_file(configuration, environment, files_), scratch_ / "key");
}

}  // namespace
}  // namespace backstay::app
