// Bounds the work of one search; the library's own limit would let an expression run for seconds.
#define BOOST_REGEX_MAX_STATE_COUNT 2000000
#include "model/json_pattern.h"

#include <optional>

#include <boost/regex.hpp>

#include "core/error.h"

namespace backstay::model {
namespace {

constexpr std::size_t kLongestExpression = 4096;
constexpr std::size_t kLongestText = 65536;

/// UTF-8 as code points; nothing if it is not well-formed enough to be cut.
std::optional<std::wstring> to_wide(std::string_view text) {
  std::wstring wide;
  wide.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const auto first = static_cast<unsigned char>(text[i]);
    const std::size_t length = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 0;
    if (length == 0 || i + length > text.size()) return std::nullopt;
    auto point = static_cast<std::uint32_t>(length == 1 ? first : first & (0xffU >> (length + 1)));
    for (std::size_t k = 1; k < length; ++k) point = point << 6 | (static_cast<unsigned char>(text[i + k]) & 0x3fU);
    wide += static_cast<wchar_t>(point);
    i += length;
  }
  return wide;
}

[[noreturn]] void refuse(std::string_view expression, const std::string& why) {
  throw core::Error(core::Code::kInvalidArgument,
                    "pattern '" + std::string(expression.substr(0, 100)) + "' is not valid: " + why);
}

}  // namespace

struct Pattern::Compiled {
  boost::wregex regex;
};

Pattern::Pattern(std::string_view expression) : expression_(expression) {
  if (expression.size() > kLongestExpression) refuse(expression, "it is longer than 4 KiB");
  const auto wide = to_wide(expression);
  if (!wide) refuse(expression, "it is not UTF-8");
  try {
    compiled_ = std::make_unique<const Compiled>(Compiled{boost::wregex(*wide, boost::regex_constants::ECMAScript)});
  } catch (const std::exception& error) {
    refuse(expression, error.what());
  }
}

Pattern::~Pattern() = default;
Pattern::Pattern(Pattern&&) noexcept = default;
Pattern& Pattern::operator=(Pattern&&) noexcept = default;

PatternResult Pattern::search(std::string_view text) const {
  if (text.size() > kLongestText) return PatternResult::kTooComplex;
  const auto wide = to_wide(text);
  if (!wide) return PatternResult::kNoMatch;
  try {
    // As in ECMAScript: "^" and "$" are the text's ends, "." is no line break.
    const auto flags = boost::regex_constants::match_single_line | boost::regex_constants::match_not_dot_newline;
    return boost::regex_search(*wide, compiled_->regex, flags) ? PatternResult::kMatch : PatternResult::kNoMatch;
  } catch (const std::runtime_error&) {
    // What the library throws when the search would take too much time or memory.
    return PatternResult::kTooComplex;
  }
}

}  // namespace backstay::model
