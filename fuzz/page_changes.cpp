// A stored map of changed pages.
#include "backup/page_changes.h"

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace backstay;  // NOLINT(google-build-using-namespace)
  const auto bytes = fuzz::Input(data, size).rest();
  fuzz::parses({core::Code::kCorruptData}, [&] {
    const auto changes = backup::PageChanges::decode(bytes);
    fuzz::require(std::ranges::equal(changes.encode(), bytes), "a map is written in one way");
  });
  return 0;
}
