// SQL from somebody who is not trusted, in pieces of any size.
#include "fuzz.h"
#include "postgres/script_filter.h"

namespace {

using namespace backstay;  // NOLINT(google-build-using-namespace)

std::optional<std::string> filter(std::string_view script, std::size_t piece) {
  std::string kept;
  const bool whole = fuzz::parses({core::Code::kImportRefused}, [&] {
    postgres::ScriptFilter filter([&](std::string_view text) { kept += text; });
    for (std::size_t at = 0; at < script.size(); at += piece) filter.write(script.substr(at, piece));
    filter.finish();
  });
  if (!whole) return std::nullopt;
  return kept;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::size_t piece = 1 + input.byte() % 31;
  const auto kept = filter(input.text(), piece);
  fuzz::require(kept == filter(input.text(), input.text().size() + 1), "pieces make no difference");
  if (!kept) return 0;
  fuzz::require(std::ranges::count(*kept, '\n') >= std::ranges::count(input.text(), '\n'),
                "every line is where it was");
  fuzz::require(filter(*kept, piece).has_value(), "what was let through is let through again");
  return 0;
}
