// A text that must not be shown: it does not print, and its memory is wiped when it goes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace backstay::core {

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string text) : text_(std::move(text)) {}
  Secret(const Secret&) = default;
  Secret& operator=(const Secret&) = default;
  Secret(Secret&& other) noexcept : text_(other.text_) { other.wipe(); }
  Secret& operator=(Secret&& other) noexcept {
    if (this != &other) {
      wipe();
      text_ = other.text_;
      other.wipe();
    }
    return *this;
  }
  ~Secret() { wipe(); }

  /// The text itself. Never log it, never put it into an error.
  [[nodiscard]] const std::string& reveal() const { return text_; }
  [[nodiscard]] bool empty() const { return text_.empty(); }

 private:
  void wipe() {
    volatile char* at = text_.data();
    for (std::size_t i = 0; i < text_.size(); ++i) at[i] = 0;
    text_.clear();
  }
  std::string text_;
};

/// Compares without telling by its time where two texts differ.
inline bool equal_in_constant_time(std::string_view a, std::string_view b) {
  unsigned difference = a.size() == b.size() ? 0 : 1;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(i < b.size() ? b[i] : 0);
  }
  return difference == 0;
}

}  // namespace backstay::core
