#include "backup/testing/dump_text.h"

namespace backstay::backup::testing {
namespace {

constexpr std::string_view kForEver = " VALID UNTIL 'infinity'";

void append_line(std::string& kept, std::string_view line) {
  if (line.starts_with("\\restrict ") || line.starts_with("\\unrestrict ")) return;
  const auto at = line.find(kForEver);
  if (at == std::string_view::npos) {
    kept += line;
    return;
  }
  kept += line.substr(0, at);
  kept += line.substr(at + kForEver.size());
}

}  // namespace

std::string comparable_dump(std::string_view text) {
  std::string kept;
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    const auto whole = text.substr(0, line.size() + 1);
    append_line(kept, whole);
    text.remove_prefix(whole.size());
  }
  return kept;
}

}  // namespace backstay::backup::testing
