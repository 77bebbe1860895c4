#include "blob/testing/faulty_store.h"

#include <gtest/gtest.h>

#include "blob/testing/memory_store.h"

namespace backstay::blob::testing {
namespace {

using core::as_bytes;

class FaultyStoreTest : public ::testing::Test {
 protected:
  MemoryStore memory_;
  FaultyStore store_{memory_};
};

TEST_F(FaultyStoreTest, FailsTheChosenCallOnly) {
  store_.fail_call(2, core::Code::kStoreAccessDenied);
  store_.put("a", as_bytes("1"));
  EXPECT_THROW(store_.put("b", as_bytes("2")), core::Error);
  store_.put("c", as_bytes("3"));
  EXPECT_EQ(memory_.keys(), (std::vector<std::string>{"a", "c"}));
  EXPECT_EQ(store_.calls(), 3U);
}

TEST_F(FaultyStoreTest, LosesAnAnswerAfterTheWorkWasDone) {
  store_.lose_answer(1);
  EXPECT_THROW(store_.put("a", as_bytes("1")), core::Error);
  EXPECT_EQ(memory_.keys(), (std::vector<std::string>{"a"}));
}

TEST_F(FaultyStoreTest, GoesAwayAndComesBack) {
  store_.go_away();
  EXPECT_THROW(store_.head("a"), core::Error);
  EXPECT_THROW(store_.put("a", as_bytes("1")), core::Error);
  store_.come_back();
  store_.put("a", as_bytes("1"));
  EXPECT_TRUE(store_.head("a"));
}

TEST_F(FaultyStoreTest, TruncatesReads) {
  store_.put("a", as_bytes("0123456789"));
  store_.truncate_reads(4);
  EXPECT_EQ(store_.get("a")->size(), 4U);
  EXPECT_EQ(store_.get_tail("a", 8)->content.size(), 4U);
}

TEST_F(FaultyStoreTest, KeepsTheBytesOfAFailedAppend) {
  const auto upload = store_.begin_upload("a");
  store_.fail_call(1);
  EXPECT_THROW(upload->append(as_bytes("one")), core::Error);
  upload->append({});
  upload->append(as_bytes("two"));
  store_.fail_call(1);
  EXPECT_THROW(upload->finish(), core::Error);
  upload->finish();
  EXPECT_EQ(core::as_text(*memory_.get("a")), "onetwo");
}

}  // namespace
}  // namespace backstay::blob::testing
