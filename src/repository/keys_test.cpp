#include "repository/keys.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "core/text.h"

namespace backstay::repository {
namespace {

class RecoveryKeyTest : public ::testing::Test {
 protected:
  static std::string refusal(const std::string& text) {
    try {
      parse_recovery_key(text);
    } catch (const core::Error& error) {
      EXPECT_EQ(error.code(), core::Code::kInvalidArgument);
      return error.message();
    }
    ADD_FAILURE() << "was taken";
    return "";
  }
  core::SystemRandom random_;
  const TeamKey key_{KeyBytes::generate(random_)};
  const std::string text_ = format_recovery_key(key_).reveal();
};

TEST_F(RecoveryKeyTest, HasAFixedForm) {
  core::Bytes bytes(32);
  for (unsigned i = 0; i < 32; ++i) bytes[i] = static_cast<std::byte>(i);
  EXPECT_EQ(format_recovery_key(TeamKey(bytes)).reveal(),
            "bsk1-000g40r4-0m30e209-185gr38e-1w8124gk-2gahc5rr-34d1p70x-3rfy9ah1");
}

TEST_F(RecoveryKeyTest, RoundTripsAsPeopleTypeIt) {
  EXPECT_EQ(parse_recovery_key(text_), key_);
  std::string typed;
  for (char c : text_) {
    if (c == '-') c = ' ';
    if (typed.size() > 4 && c == '0') c = 'O';
    if (typed.size() > 4 && c == '1') c = 'l';
    typed += static_cast<char>(toupper(c));
  }
  EXPECT_EQ(parse_recovery_key("  " + typed + "\n"), key_);
}

TEST_F(RecoveryKeyTest, SaysWhatIsWrongAndNeverQuotesIt) {
  EXPECT_NE(refusal("hello").find("bsk1-"), std::string::npos);
  EXPECT_NE(refusal(text_.substr(0, text_.size() - 1)).find("55 characters"), std::string::npos);
  std::string strange = text_;
  strange[7] = 'u';
  EXPECT_NE(refusal(strange).find("character 3"), std::string::npos);
  for (std::size_t at = 5; at < text_.size(); ++at) {
    if (text_[at] == '-') continue;
    std::string typo = text_;
    typo[at] = typo[at] == '7' ? '8' : '7';
    const std::string message = refusal(typo);
    EXPECT_NE(message.find("mistyped"), std::string::npos) << at;
    EXPECT_EQ(message.find(text_.substr(5, 8)), std::string::npos);
  }
}

TEST_F(RecoveryKeyTest, WrappedDataKeysOpenOnlyWithKeyAndRepository) {
  const DataKey data_key(KeyBytes::generate(random_));
  core::Bytes wrapped = wrap_data_key(key_, data_key, "one", random_);
  EXPECT_EQ(unwrap_data_key(key_, wrapped, "one"), data_key);
  EXPECT_THROW(unwrap_data_key(key_, wrapped, "two"), core::Error);
  EXPECT_THROW(unwrap_data_key(TeamKey(KeyBytes::generate(random_)), wrapped, "one"), core::Error);
  wrapped[20] ^= std::byte{1};
  EXPECT_THROW(unwrap_data_key(key_, wrapped, "one"), core::Error);
  EXPECT_THROW(unwrap_data_key(key_, core::Bytes(3), "one"), core::Error);
}

}  // namespace
}  // namespace backstay::repository
