#include "blob/testing/memory_store.h"

#include <gtest/gtest.h>

#include "blob/testing/store_conformance.h"
#include "core/error.h"

namespace backstay::blob::testing {
namespace {

class MemoryFixture final : public StoreFixture {
 public:
  Store& store() override { return store_; }

 private:
  MemoryStore store_;
};

const bool kRegistered = register_store_conformance("Memory", [] { return std::make_unique<MemoryFixture>(); });

TEST(MemoryStoreTest, RefusesAKeyThatIsAlsoADirectory) {
  MemoryStore store;
  store.put("a/b", core::as_bytes("x"));
  EXPECT_THROW(store.put("a", core::as_bytes("x")), core::Error);
  EXPECT_THROW(store.put("a/b/c", core::as_bytes("x")), core::Error);
}

TEST(MemoryStoreTest, CorruptsOneByte) {
  MemoryStore store;
  store.put("a", core::as_bytes("abc"));
  store.corrupt("a", 1);
  EXPECT_NE(core::as_text(*store.get("a")), "abc");
  EXPECT_THROW(store.corrupt("a", 3), core::Error);
}

}  // namespace
}  // namespace backstay::blob::testing
