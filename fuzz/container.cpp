// What a container says of itself: header, trailer and the table of its groups, unsealed.
#include "fuzz.h"
#include "repository/container_format.h"

namespace {

using namespace backstay;  // NOLINT(google-build-using-namespace)
using core::Code;

const repository::ObjectName kName{repository::Kind::kPack, "packs/00/0"};

void read_footer(core::ByteSpan footer, std::uint64_t end) {
  repository::Layout layout{.name = kName};
  repository::decode_footer(layout, footer, end);
  fuzz::require(layout.groups_end() == end, "the groups fill the container");
  std::uint64_t at = repository::kHeaderSize;
  for (const auto& group : layout.groups) {
    fuzz::require(group.offset == at && group.raw_size <= repository::kMaxGroupSize, "no gap between groups");
    at += group.stored_size;
  }
  const auto again = repository::encode_footer(layout.groups, layout.meta);
  fuzz::require(std::ranges::equal(again, footer), "a footer is written in one way");
}

/// So that the groups' sum, which the end must equal, need not be guessed.
std::uint64_t end_of_groups(core::ByteSpan footer) {
  std::uint64_t end = repository::kHeaderSize;
  if (footer.size() < 4) return end;
  const auto count = core::load_le<std::uint32_t>(footer, 0);
  for (std::size_t at = 4; at + 8 <= footer.size() && (at - 4) / 8 < count; at += 8)
    end += core::load_le<std::uint32_t>(footer, at);
  return end;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const unsigned mode = input.byte();
  const auto refusals = {Code::kCorruptData, Code::kUnsupportedFormat};
  switch (mode % 4) {
    case 0: fuzz::parses(refusals, [&] { (void)repository::decode_header(kName, input.rest()); }); break;
    case 1:
      fuzz::parses(refusals, [&] {
        const auto trailer = repository::decode_trailer(kName, input.rest());
        fuzz::require(trailer.footer_stored_size <= repository::kMaxGroupSize, "a footer has a bound");
      });
      break;
    case 2: fuzz::parses(refusals, [&] { read_footer(input.rest(), end_of_groups(input.rest())); }); break;
    default: fuzz::parses(refusals, [&] { read_footer(input.rest(), input.u16()); });
  }
  return 0;
}
