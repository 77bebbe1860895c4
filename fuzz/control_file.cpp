// global/pg_control, with a checksum that holds: behind it every byte may be anything.
#include "postgres/control_file.h"

#include "codec/crc32c.h"
#include "fuzz.h"

using backstay::core::Code;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  backstay::fuzz::Input input(data, size);
  const unsigned mode = input.byte();
  backstay::core::Bytes file(input.rest().begin(), input.rest().end());
  if (file.size() >= 296 && mode != 0) {
    constexpr std::uint32_t kVersions[] = {1300, 1700, 1800};
    const auto version = kVersions[mode % 3];
    const std::size_t at = version == 1800 ? 292 : 288;
    backstay::core::store_le(backstay::core::MutableByteSpan(file), 8, version);
    const auto checksum = backstay::codec::crc32c(backstay::core::ByteSpan(file).first(at));
    backstay::core::store_le(backstay::core::MutableByteSpan(file), at, checksum);
  }
  backstay::fuzz::parses({Code::kCorruptData, Code::kUnsupportedFormat},
                         [&] { (void)backstay::postgres::parse_control_file(file); });
  return 0;
}
