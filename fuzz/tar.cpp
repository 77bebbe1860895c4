// An archive that was uploaded.
#include "backup/tar_reader.h"

#include "fuzz.h"

namespace {

using namespace backstay;  // NOLINT(google-build-using-namespace)

std::optional<std::string> read(core::ByteSpan tar, std::size_t piece) {
  std::string content;
  const bool whole = fuzz::parses({core::Code::kImportRefused}, [&] {
    backup::TarReader reader(
        {.begin = [&](const std::string& name, std::uint64_t size) { content += name + std::to_string(size); },
         .content = [&](core::ByteSpan bytes) { content += core::as_text(bytes); }});
    for (std::size_t at = 0; at < tar.size(); at += piece)
      reader.feed(tar.subspan(at, std::min(piece, tar.size() - at)));
    reader.finish();
  });
  if (!whole) return std::nullopt;
  return content;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::size_t piece = 1 + std::size_t{input.byte()} * 7;
  const auto tar = input.rest();
  fuzz::require(read(tar, piece) == read(tar, tar.size() + 1), "pieces make no difference");
  return 0;
}
