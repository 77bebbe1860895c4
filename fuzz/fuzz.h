// What the fuzz targets share: reading their input, and the two things that end a run.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <string_view>

#include "core/bytes.h"
#include "core/error.h"

namespace backstay::fuzz {

/// Takes what a target needs off the input; past its end everything is zero or empty.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size)
      : rest_(core::as_bytes({reinterpret_cast<const char*>(data), size})) {}

  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const auto value = std::to_integer<std::uint8_t>(rest_.front());
    rest_ = rest_.subspan(1);
    return value;
  }
  std::uint16_t u16() {
    const unsigned low = byte();
    return static_cast<std::uint16_t>(low | static_cast<unsigned>(byte()) << 8U);
  }
  core::ByteSpan bytes(std::size_t count) {
    const auto taken = rest_.first(std::min(count, rest_.size()));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }
  /// Up to the next line break, which is passed over.
  std::string_view line() {
    const auto text = core::as_text(rest_);
    const auto end = text.find('\n');
    const auto taken = text.substr(0, end);
    rest_ = rest_.subspan(end == std::string_view::npos ? rest_.size() : end + 1);
    return taken;
  }
  [[nodiscard]] core::ByteSpan rest() const { return rest_; }
  [[nodiscard]] std::string_view text() const { return core::as_text(rest_); }
  [[nodiscard]] bool empty() const { return rest_.empty(); }

 private:
  core::ByteSpan rest_;
};

/// A property that holds for every input.
inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

/// Runs the parser. Input that it refuses is refused with one of these; any other exception is a defect. True if it was
/// taken.
template <typename Parse>
bool parses(std::initializer_list<core::Code> refusals, const Parse& parse) {
  try {
    parse();
    return true;
  } catch (const core::Error& error) {
    if (std::ranges::find(refusals, error.code()) == refusals.end()) {
      std::fprintf(stderr, "%s: %s\n", std::string(core::code_name(error.code())).c_str(), error.what());
      std::abort();
    }
    return false;
  }
}

}  // namespace backstay::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
