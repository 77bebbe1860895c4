#include "core/error.h"

#include <cerrno>
#include <stdexcept>

#include <gtest/gtest.h>

namespace backstay::core {
namespace {

TEST(ErrorTest, CarriesCodeContextFieldsAndHint) {
  const Error error = Error(Code::kNotFound, "no service 'x'")
                          .add_context("cannot back up")
                          .with_field("/id", "is unknown")
                          .with_hint("list the services");
  EXPECT_STREQ(error.what(), "cannot back up: no service 'x'");
  EXPECT_EQ(error.hint(), "list the services");
  ASSERT_EQ(error.fields().size(), 1U);
  EXPECT_EQ(error.fields()[0].pointer, "/id");
}

TEST(ErrorTest, NamesOfTheCatalogueRoundTrip) {
  EXPECT_EQ(code_name(Code::kStoreUnreachable), "store_unreachable");
  EXPECT_EQ(code_from_name("store_unreachable"), Code::kStoreUnreachable);
  EXPECT_EQ(code_from_name("no_such_code"), Code::kInternal);
  EXPECT_EQ(code_http_status(Code::kUnauthenticated), 401);
  EXPECT_TRUE(code_retryable(Code::kStoreUnreachable));
  EXPECT_FALSE(code_retryable(Code::kCorruptData));
}

TEST(ErrorTest, AFullDiskHasItsOwnCode) {
  EXPECT_EQ(system_error("cannot write 'f'", ENOSPC).code(), Code::kDiskFull);
  EXPECT_EQ(system_error("cannot write 'f'", EIO).code(), Code::kIoError);
  EXPECT_STREQ(system_error("cannot write 'f'", EIO).what(), "cannot write 'f': Input/output error");
}

TEST(ErrorTest, OtherExceptionsBecomeInternal) {
  EXPECT_EQ(as_error(std::make_exception_ptr(std::runtime_error("boom"))).code(), Code::kInternal);
  EXPECT_EQ(as_error(std::make_exception_ptr(42)).code(), Code::kInternal);
  EXPECT_EQ(as_error(std::make_exception_ptr(Error(Code::kTimeout, "late"))).code(), Code::kTimeout);
}

}  // namespace
}  // namespace backstay::core
