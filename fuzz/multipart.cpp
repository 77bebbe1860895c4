// An upload from a form, in pieces of any size.
#include "http/multipart.h"

#include "fuzz.h"

namespace {

using namespace backstay;  // NOLINT(google-build-using-namespace)

std::optional<std::string> read(const std::string& boundary, std::string_view body, std::size_t piece) {
  std::string content;
  const bool whole = fuzz::parses({core::Code::kInvalidArgument}, [&] {
    http::MultipartReader reader(boundary, [&](std::string_view text) { content += text; });
    for (std::size_t at = 0; at < body.size(); at += piece) reader.write(body.substr(at, piece));
    reader.finish();
  });
  if (!whole) return std::nullopt;
  return content;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::size_t piece = 1 + input.byte();
  std::optional<std::string> boundary;
  const auto type = input.line();
  if (!fuzz::parses({core::Code::kInvalidArgument}, [&] { boundary = http::multipart_boundary(type); })) return 0;
  if (!boundary) return 0;
  fuzz::require(read(*boundary, input.text(), piece) == read(*boundary, input.text(), input.text().size() + 1),
                "pieces make no difference");
  return 0;
}
