#include "cli/key_values.h"

#include <gtest/gtest.h>

#include "cli/testing/scripted_terminal.h"
#include "core/error.h"
#include "os/testing/memory_file_system.h"

namespace backstay::cli {
namespace {

using core::Error;

class SecretsTest : public ::testing::Test {
 protected:
  os::testing::MemoryFileSystem files_;
  testing::ScriptedTerminal terminal_;
};

TEST(KeyValuesTest, TakesTextsAndJson) {
  EXPECT_EQ(core::to_text(parse_key_values({"max_connections=100", "flag:=true", "path=a=b", "empty="})),
            R"({"max_connections":"100","flag":true,"path":"a=b","empty":""})");
}

TEST(KeyValuesTest, RefusesWhatIsNoPair) {
  EXPECT_THROW(parse_key_values({"max_connections"}), Error);
  EXPECT_THROW(parse_key_values({"=100"}), Error);
  EXPECT_THROW(parse_key_values({"flag:=maybe"}), Error);
}

TEST(KeyValuesTest, TakesWholeNumbersForPlans) {
  EXPECT_EQ(core::to_text(parse_numbers({"storage=10"})), R"({"storage":10})");
  EXPECT_THROW(parse_numbers({"storage=10.5"}), Error);
  EXPECT_THROW(parse_numbers({"storage=ten"}), Error);
}

TEST_F(SecretsTest, ReadsAFileWithoutItsLastLineEnd) {
  files_.write_file_durably("/tmp/password", core::as_bytes("s3cret \r\n"), 0600);
  EXPECT_EQ(core::to_text(read_secrets({"password=/tmp/password"}, {}, files_, terminal_)),
            R"({"password":"s3cret "})");
}

TEST_F(SecretsTest, ReadsStandardInput) {
  terminal_.input = "typed\n";
  EXPECT_EQ(core::to_text(read_secrets({"password=-"}, {}, files_, terminal_)), R"({"password":"typed"})");
}

TEST_F(SecretsTest, AsksAPerson) {
  terminal_.answers = {"typed"};
  EXPECT_EQ(core::to_text(read_secrets({}, {"password"}, files_, terminal_)), R"({"password":"typed"})");
  EXPECT_EQ(terminal_.errors, "password: ");
}

TEST_F(SecretsTest, RefusesWhereNobodyCanBeAsked) {
  try {
    read_secrets({}, {"password"}, files_, terminal_);
    FAIL() << "it asked nobody";
  } catch (const Error& error) {
    EXPECT_EQ(error.hint(), "give it in a file: password=FILE");
  }
}

}  // namespace
}  // namespace backstay::cli
