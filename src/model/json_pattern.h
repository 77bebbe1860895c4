// Regular expressions of schemas: Perl syntax with look-ahead and look-behind, on Unicode code points, with bounded
// work.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace backstay::model {

enum class PatternResult { kMatch, kNoMatch, kTooComplex };

/// Immutable; safe for any thread.
class Pattern {
 public:
  /// Throws Error(invalid_argument) for an expression that is not valid or longer than 4 KiB.
  explicit Pattern(std::string_view expression);
  ~Pattern();
  Pattern(Pattern&&) noexcept;
  Pattern& operator=(Pattern&&) noexcept;

  /// Searches anywhere in the text; a text of more than 64 KiB is too complex.
  [[nodiscard]] PatternResult search(std::string_view text) const;
  [[nodiscard]] const std::string& expression() const { return expression_; }

 private:
  struct Compiled;
  std::string expression_;
  std::unique_ptr<const Compiled> compiled_;
};

}  // namespace backstay::model
