// Enumerations and their words, for the source files of this folder.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "core/error.h"

namespace backstay::model {

template <typename Enum, std::size_t kCount>
using Words = std::array<std::pair<Enum, std::string_view>, kCount>;

template <typename Enum, std::size_t kCount>
std::string_view word_of(const Words<Enum, kCount>& words, Enum value) {
  for (const auto& [known, word] : words) {
    if (known == value) return word;
  }
  throw core::Error(core::Code::kInternal, "a value outside its enumeration");
}

template <typename Enum, std::size_t kCount>
Enum value_of(const Words<Enum, kCount>& words, std::string_view text, std::string_view what) {
  for (const auto& [value, word] : words) {
    if (word == text) return value;
  }
  throw core::Error(core::Code::kInvalidArgument, std::string(what) + " '" + std::string(text) + "' is not known");
}

}  // namespace backstay::model
